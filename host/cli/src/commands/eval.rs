//! `assent eval DIR REQUEST`: one decision with its explanation, for a person or as JSON.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use assent_engine::{
    Caller, Decision, FullView, Question, Release, Right, caller::Obligations, full_view, judge,
};
use assent_model::{DecisionId, Effect, Instant};

use crate::deployment::build;

/// What to evaluate.
#[derive(Debug)]
pub struct EvalArguments<'a> {
    /// The deployment directory.
    pub root: &'a Path,
    /// A file with an AuthZEN evaluation request; `-`: standard input.
    pub request: &'a Path,
    /// The organization's id; may be left out where there is only one.
    pub organization: Option<&'a str>,
    /// The caller's id; left out: a caller that can honour everything.
    pub caller: Option<&'a str>,
    /// The clock.
    pub now: Instant,
    /// Whether to print JSON.
    pub json: bool,
}

/// Decides one request and prints the explanation. Nothing is recorded.
///
/// # Errors
/// When the deployment does not load or the request cannot be read.
pub fn eval(arguments: &EvalArguments<'_>, out: &mut dyn Write) -> anyhow::Result<Effect> {
    let (deployment, built) = super::load(arguments.root)?;
    let ids: Vec<_> = built.organizations.iter().map(|o| o.release.organization().as_str()).collect();
    let release = match arguments.organization {
        Some(id) => built.organizations.iter().find(|o| o.release.organization().as_str() == id),
        None if built.organizations.len() == 1 => built.organizations.first(),
        None => None,
    };
    let release = &release
        .with_context(|| match arguments.organization {
            Some(id) => format!("no organization `{id}`; there are: {}", ids.join(", ")),
            None => format!("name one of the organizations with `--organization`: {}", ids.join(", ")),
        })?
        .release;
    let caller = match arguments.caller {
        Some(id) => {
            let mut configured = deployment.config.callers.iter();
            let ids: Vec<_> = deployment.config.callers.iter().map(|caller| caller.id.as_str()).collect();
            let found = configured.find(|caller| caller.id == id);
            let caller = build::caller(
                found.with_context(|| format!("no caller `{id}`; there are: {}", ids.join(", ")))?,
            );
            anyhow::ensure!(
                caller.may(Right::Decide, release.organization()),
                "caller `{id}` may not ask about `{}`: the service would answer 403",
                release.organization()
            );
            caller
        }
        None => Caller {
            id: "eval".to_owned(),
            organizations: [release.organization().clone()].into(),
            rights: [].into(),
            obligations: Obligations::All,
            environment: "production".to_owned(),
        },
    };
    let bytes = read_request(arguments.request)?;
    let request = assent_server::wire::load(&bytes, &deployment.config.server.limits)
        .and_then(|body| assent_server::wire::evaluation(&body))
        .with_context(|| format!("{} is not a request", arguments.request.display()))?;
    let question = Question { id: DecisionId::from_bits(0), at: arguments.now, request, explain: true };
    let decision = judge(release, &caller, &question).decision;
    let view = full_view(release, &caller, &question, &decision);
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&view)?)?;
    } else {
        write!(out, "{}", explained(release, &decision, &view))?;
    }
    Ok(decision.effect())
}

fn read_request(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = vec![];
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input cannot be read")?;
        Ok(bytes)
    } else {
        std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
    }
}

/// The explanation as text, one thought a line.
fn explained(release: &Release, decision: &Decision, view: &FullView) -> String {
    let mut lines = vec![];
    let effect = match view.effect {
        Effect::Permit => "PERMIT",
        Effect::Deny => "DENY",
    };
    lines.push(format!(
        "{effect} ({}) by release {}",
        view.cause.code(),
        short(&release.digest().to_string())
    ));
    for problem in &view.problems {
        lines.push(format!("  could not be said: {}", problem.detail));
    }
    for policy in &view.policies {
        let verb = if policy.permits { "permits" } else { "forbids" };
        lines.push(format!("  policy `{}` {verb}: {}", policy.id, policy.intent.as_deref().unwrap_or("")));
        lines.extend(policy.source.iter().map(|source| format!("    source: {source}")));
    }
    if view.policies.is_empty() && decision.verdict().is_some() {
        lines.push("  no policy applies".to_owned());
    }
    for error in &view.policy_errors {
        lines.push(format!("  policy `{}` could not be evaluated: {}", error.id, error.message));
    }
    for plugin in &view.plugins {
        lines.extend(plugin_lines(plugin, view.effect == Effect::Permit));
    }
    if !view.obligations.is_empty() {
        lines.push("  obligations:".to_owned());
        lines.extend(view.obligations.iter().map(|o| format!("    {}{}", o.code, parameters(o))));
    }
    if !view.remedies.is_empty() {
        lines.push("  what would change it:".to_owned());
        let remedy = |remedy| serde_json::to_string(remedy).unwrap_or_default();
        lines.extend(view.remedies.iter().map(|r| format!("    {}", remedy(r))));
    }
    if !view.facts_read.is_empty() {
        lines.push("  facts read by the determining policies and the plugins:".to_owned());
        let fact = |fact| serde_json::to_string(fact).unwrap_or_default();
        lines.extend(view.facts_read.iter().map(|(path, value)| format!("    {path} = {}", fact(value))));
    }
    if !view.ignored.is_empty() {
        lines.push("  sent, but ignored (the schema does not mark it `@supplied(\"caller\")`):".to_owned());
        lines.extend(view.ignored.iter().map(|path| format!("    {path}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn plugin_lines(plugin: &assent_engine::explain::PluginView, permitted: bool) -> Vec<String> {
    let mut lines = vec![];
    let name = format!("  plugin `{}` ({})", plugin.binding, plugin.plugin);
    if let Some(failure) = &plugin.failure {
        lines.push(format!("{name} failed: {}: {}; {}", failure.code, failure.message, failure.advice));
    }
    if let Some(findings) = &plugin.findings {
        let quiet = findings.allows() && findings.obligations.is_empty();
        lines.push(format!("{name}{}", if quiet { " has nothing to add" } else { ":" }));
        for denial in &findings.denials {
            lines.push(format!("    denies [{}, {}]: {}", denial.code, denial.ground, denial.message));
            lines.extend(denial.citation.iter().map(|citation| format!("      citation: {citation}")));
        }
        for review in &findings.reviews {
            let queue = &review.queue;
            lines.push(format!(
                "    asks for review by {queue} [{}, {}]: {}",
                review.code, review.ground, review.question
            ));
        }
        let verb = if permitted { "obliges" } else { "would oblige" };
        lines.extend(findings.obligations.iter().map(|o| format!("    {verb}: {}{}", o.code, parameters(o))));
        lines.extend(findings.notes.iter().map(|note| format!("    note: {note}")));
    }
    lines
}

fn parameters(obligation: &assent_model::Obligation) -> String {
    if obligation.parameters.is_empty() {
        return String::new();
    }
    format!(" {}", serde_json::to_string(&obligation.parameters).unwrap_or_default())
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
