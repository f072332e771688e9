//! The role × action × resource golden matrix: what each kind of person may do to each kind of
//! record by the base policies. Reviewers read the diff of `tests/cases/policies/matrix.golden`
//! before the policies' own. To accept a change: `ASSENT_BLESS=1 cargo test -p assent-tests matrix`.

use assent_engine::{Caller, Question, caller::Obligations, judge};
use assent_model::{Action, Cause, DecisionId, Party, Properties, Request};
use serde::Deserialize;

use crate::support::{POLICIES, root};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    now: assent_model::Instant,
    #[serde(default)]
    context: Properties,
    actions: Vec<String>,
    subject: Vec<Sample>,
    resource: Vec<Sample>,
}

/// A subject or resource that stands for its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    /// The row's or column's title.
    name: String,
    #[serde(rename = "type")]
    kind: String,
    id: String,
    #[serde(default)]
    properties: Properties,
    /// Laid over the matrix's context, for subjects that need more than the others.
    #[serde(default)]
    context: Properties,
}

impl Sample {
    fn party(&self) -> Party {
        Party { kind: self.kind.clone(), id: self.id.clone(), properties: self.properties.clone() }
    }
}

/// One letter for a cause.
fn letter(cause: Cause, obliged: bool) -> char {
    match cause {
        Cause::Permit if obliged => 'O',
        Cause::Permit => 'P',
        Cause::Forbidden => 'f',
        Cause::NoPolicy => '.',
        Cause::Indeterminate => '?',
    }
}

fn table(matrix: &Matrix) -> String {
    let release = &POLICIES.built.organizations[0].release;
    let caller = Caller {
        id: "matrix".into(),
        organizations: [release.organization().clone()].into(),
        rights: [].into(),
        obligations: Obligations::All,
        environment: "production".into(),
    };
    let mut lines = vec![
        "# P permit · O permit with obligations · f forbidden · . nothing permits · ? could not be said"
            .to_owned(),
    ];
    for subject in &matrix.subject {
        lines.push(String::new());
        lines.push(format!("## {}", subject.name));
        lines.push(format!("{:22}{}", "", matrix.actions.join(" ")));
        for resource in &matrix.resource {
            let mut line = format!("{:22}", resource.name);
            for action in &matrix.actions {
                let mut context = matrix.context.clone();
                context.extend(subject.context.clone());
                let request = Request {
                    subject: subject.party(),
                    action: Action { name: action.clone(), properties: Properties::new() },
                    resource: resource.party(),
                    context,
                };
                let question =
                    Question { id: DecisionId::from_bits(0), at: matrix.now, request, explain: false };
                let decision = judge(release, &caller, &question).decision;
                let shown = match decision.unprepared() {
                    // The schema does not have this combination.
                    Some(unprepared) if unprepared.code() == "not_applicable" => ' ',
                    _ => letter(decision.cause(), !decision.obligations().is_empty()),
                };
                line.push_str(&format!("{shown:<width$}", width = action.len() + 1));
            }
            lines.push(line.trim_end().to_owned());
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_matrix_of_roles_actions_and_resources_is_the_golden_one() {
    let folder = root().join("tests/cases/policies");
    let matrix: Matrix =
        toml::from_str(&std::fs::read_to_string(folder.join("matrix.toml")).unwrap()).unwrap();
    let actual = table(&matrix);
    let golden = folder.join("matrix.golden");
    if std::env::vars().any(|(name, _)| name == "ASSENT_BLESS") {
        std::fs::write(&golden, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        actual.contains('P') && actual.contains('f') && actual.contains('.'),
        "the matrix shows no variety"
    );
    assert!(
        actual == expected,
        "the matrix changed; read the diff of {} after running with ASSENT_BLESS=1\n{actual}",
        golden.display()
    );
}
