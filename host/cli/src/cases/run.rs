//! Running cases through the engine, as a request would go, and comparing what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use assent_engine::{Caller, Decision, Question, Release, Right, caller::Obligations, judge};
use assent_model::{Cause, DecisionId, Effect};
use assent_policy::{LoadErrors, Snapshot, SourceFile};

use super::file::{Case, Expected};

/// What came of one case.
#[derive(Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// The differences, one line each; empty: as expected.
    pub differences: Vec<String>,
    /// The decision, where there was one.
    pub decision: Option<Decision>,
}

/// What came of all cases.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of the files.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// How many were as expected.
    pub fn passed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.differences.is_empty()).count()
    }

    /// How many were not.
    pub fn failed(&self) -> usize {
        self.outcomes.len() - self.passed()
    }
}

/// What a decision says, in the words of [`Expected`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// Permit or deny.
    pub decision: Effect,
    /// Why.
    pub cause: Cause,
    /// Ids of the determining policies.
    pub policies: Vec<String>,
    /// `binding:code` of denials and reviews.
    pub findings: Vec<String>,
    /// Codes of obligations.
    pub obligations: Vec<String>,
    /// Codes of remedies.
    pub remedies: Vec<String>,
    /// Ids of policies that could not be evaluated.
    pub errors: Vec<String>,
    /// `binding:kind` of failures.
    pub failures: Vec<String>,
}

/// Runs one case.
pub fn run(
    case: Case,
    release: &Release,
    entities: &[SourceFile],
    callers: &BTreeMap<String, Caller>,
) -> Outcome {
    match decide(&case, release, entities, callers) {
        Err(problem) => Outcome { case, differences: vec![problem], decision: None },
        Ok(decision) => {
            let mut differences = compare(&case.expected, &actual(&decision));
            if !differences.is_empty() {
                differences.extend(decision.problems().iter().map(|p| format!("problem: {}", p.detail)));
            }
            Outcome { case, differences, decision: Some(decision) }
        }
    }
}

fn decide(
    case: &Case,
    release: &Release,
    entities: &[SourceFile],
    callers: &BTreeMap<String, Caller>,
) -> Result<Decision, String> {
    let caller = caller(case, release, callers)?;
    let question = Question {
        id: DecisionId::from_bits(0),
        at: case.now,
        request: case.request.clone(),
        explain: false,
    };
    match snapshot(case, release, entities) {
        Ok(None) => Ok(judge(release, &caller, &question).decision),
        Ok(Some(snapshot)) => Ok(judge(&release.with_snapshot(snapshot), &caller, &question).decision),
        Err(LoadErrors(problems)) => Err(match problems.first() {
            Some(problem) => format!("its entities do not load: {problem}"),
            None => "its entities do not load".to_owned(),
        }),
    }
}

/// Who asks.
///
/// # Errors
/// When the case names a caller who is not registered, or not for this organization.
pub(super) fn caller(
    case: &Case,
    release: &Release,
    callers: &BTreeMap<String, Caller>,
) -> Result<Caller, String> {
    let Some(id) = &case.caller else {
        return Ok(Caller {
            id: "case".to_owned(),
            organizations: [release.organization().clone()].into(),
            rights: [].into(),
            obligations: Obligations::All,
            environment: "production".to_owned(),
        });
    };
    let caller = callers.get(id).ok_or_else(|| format!("the caller `{id}` is not in assent.toml"))?;
    if !caller.may(Right::Decide, release.organization()) {
        return Err(format!("caller `{id}` may not ask about `{}`", release.organization()));
    }
    Ok(caller.clone())
}

/// The name that problems of a case's own entities have in place of a file; entity `n` (from 0) is on
/// line `n` + 2.
pub(super) const OWN_ENTITIES: &str = "the case's entities";

/// The stored entities with the case's own laid over them; `None` where it has none.
///
/// # Errors
/// Everything that is wrong with what results.
pub(super) fn snapshot(
    case: &Case,
    release: &Release,
    entities: &[SourceFile],
) -> Result<Option<Arc<Snapshot>>, LoadErrors> {
    if case.entities.is_empty() {
        return Ok(None);
    }
    let lines: Vec<String> = case.entities.iter().map(ToString::to_string).collect();
    let overrides = [SourceFile::new(OWN_ENTITIES, format!("[\n{}\n]", lines.join(",\n")))];
    release.policies().load_entities_with(entities, &overrides).map(|snapshot| Some(Arc::new(snapshot)))
}

/// What a decision says, in the words of a case.
pub fn actual(decision: &Decision) -> Actual {
    let verdict = decision.verdict();
    let findings = decision.outcomes().iter().filter_map(|o| Some((&o.binding, o.result.as_ref().ok()?)));
    let failures = decision.outcomes().iter().filter_map(|o| Some((&o.binding, o.result.as_ref().err()?)));
    Actual {
        decision: decision.effect(),
        cause: decision.cause(),
        policies: sorted(verdict.iter().flat_map(|v| &v.determining).map(|note| note.id.clone())),
        findings: sorted(findings.flat_map(|(binding, found)| {
            let denials = found.denials.iter().map(|denial| &denial.code);
            let codes = denials.chain(found.reviews.iter().map(|review| &review.code));
            codes.map(move |code| format!("{binding}:{code}"))
        })),
        obligations: sorted(decision.obligations().iter().map(|o| o.code.as_str().to_owned())),
        remedies: sorted(decision.remedies().into_iter().map(|remedy| remedy.code().to_owned())),
        errors: sorted(verdict.iter().flat_map(|v| &v.errors).map(|error| error.id.clone())),
        failures: sorted(failures.map(|(binding, failure)| format!("{binding}:{}", failure.kind.code()))),
    }
}

fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    items.dedup();
    items
}

fn compare(expected: &Expected, actual: &Actual) -> Vec<String> {
    let mut differences = vec![];
    if expected.decision != actual.decision {
        differences.push(format!("decision: expected {:?}, got {:?}", expected.decision, actual.decision));
    }
    if let Some(cause) = expected.cause.filter(|cause| *cause != actual.cause) {
        differences.push(format!("cause: expected {}, got {}", cause.code(), actual.cause.code()));
    }
    let lists = [
        ("policies", &expected.policies, &actual.policies),
        ("findings", &expected.findings, &actual.findings),
        ("obligations", &expected.obligations, &actual.obligations),
        ("remedies", &expected.remedies, &actual.remedies),
        ("errors", &expected.errors, &actual.errors),
        ("failures", &expected.failures, &actual.failures),
    ];
    for (name, expected, actual) in lists {
        let Some(expected) = expected else { continue };
        let expected = sorted(expected.iter().cloned());
        if expected != *actual {
            differences.push(format!(
                "{name}: expected [{}], got [{}]",
                expected.join(", "),
                actual.join(", ")
            ));
        }
    }
    // A wrong decision is easier to mend when one sees what led to it.
    if expected.decision != actual.decision {
        let shown =
            [("policies", &actual.policies), ("findings", &actual.findings), ("failures", &actual.failures)];
        let shown = shown.iter().filter(|(_, items)| !items.is_empty());
        differences.extend(shown.map(|(name, items)| format!("{name} were [{}]", items.join(", "))));
    }
    differences
}
