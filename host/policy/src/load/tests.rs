//! Tests of loading: mistakes with their places, caps, validation, what a policy reads.

use std::collections::BTreeSet;

use super::*;
use crate::testing::{SCHEMA, names, policies, schema, try_policies};

/// Blocks of a text and the problems it must give, one a line after `=> `.
fn cases(file: &str) -> Vec<(String, Vec<String>)> {
    file.split("\n----\n")
        .map(|block| {
            let (problems, text): (Vec<&str>, Vec<&str>) =
                block.lines().partition(|line| line.starts_with("=> "));
            let problems = problems.iter().map(|line| line.trim_start_matches("=> ").to_owned()).collect();
            (text.join("\n").trim_matches('\n').to_owned(), problems)
        })
        .collect()
}

fn shown<T>(result: Result<T, LoadErrors>) -> Vec<String> {
    result.err().map(|errors| errors.0.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn every_mistake_in_a_policy_is_reported_with_place_and_advice() {
    for (text, expected) in cases(include_str!("cases/policies.txt")) {
        assert_eq!(shown(try_policies(&text)), expected, "{text}");
    }
}

#[test]
fn every_mistake_in_a_schema_is_reported_with_place_and_advice() {
    for (text, expected) in cases(include_str!("cases/schemas.txt")) {
        let loaded = load(&[SourceFile::new("s.cedarschema", text.as_str())], &[], Names::default());
        assert_eq!(shown(loaded), expected, "{text}");
    }
}

#[test]
fn problems_of_several_files_come_together() {
    let files = [
        SourceFile::new(
            "a.cedar",
            "permit(principal, action, resorce);\n\n@id(\"x\") permit(principal, action, resource);",
        ),
        SourceFile::new(
            "b.cedar",
            "@id(\"x\") @intent(\"y\") permit(principal, action, resource) when { context.nope };",
        ),
    ];
    let problems = shown(load(&schema(), &files, names()));
    let places: BTreeSet<&str> = problems.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(places, BTreeSet::from(["a.cedar:1:27", "a.cedar:3:1", "b.cedar:1:66"]), "{problems:#?}");
}

#[test]
fn names_must_exist_in_the_schema() {
    let mut wrong = names();
    wrong.subjects.insert("clerk".into(), "Usr".into());
    wrong.actions.insert("can_look".into(), "veiw".into());
    assert_eq!(
        shown(load(&schema(), &[], wrong)),
        [
            "names.actions.can_look: `can_look` is mapped to action `veiw`, which the schema does not have; did you mean `view`?",
            "names.subjects.clerk: `clerk` is mapped to entity type `Usr`, which the schema does not have; did you mean `User`?",
        ]
    );
}

/// Each of these ends a process that hands it to Cedar on an ordinary stack, or hides what it holds.
#[test]
fn hostile_texts_are_refused_and_end_nothing() {
    let policy = |condition: &str| {
        format!("@id(\"x\") @intent(\"y\") permit(principal, action, resource) when {{ {condition} }};")
    };
    let chain = |n: usize, joiner: &str| policy(&vec!["context.callerEnvironment == \"a\""; n].join(joiner));
    let cases = [
        (
            "nested parentheses",
            policy(&format!("{}true{}", "(".repeat(170), ")".repeat(170))),
            "nested more than 100",
        ),
        ("nested sets", policy(&"[".repeat(350)), "nested more than 100"),
        ("a hundred thousand brackets", "(".repeat(100_000), "nested more than 100"),
        ("a long chain", chain(500, " || "), "200 are allowed"),
        (
            "a long chain of else",
            policy(&format!("{}true", "if true then true else ".repeat(1_000))),
            "200 are allowed",
        ),
        ("a long sum", policy(&format!("1{} > 0", "+1".repeat(10_000))), "200 are allowed"),
        ("a policy of 33 KiB", chain(1_100, " || "), "longer than 32 KiB"),
        ("a file above 1 MiB", " ".repeat((1 << 20) + 1), "larger than 1024 KiB"),
        ("an endless string", policy("\"a"), "invalid token"),
        ("zero bytes", "\0\0\0".to_owned(), "invalid token"),
    ];
    for (name, text, expected) in cases {
        let problems = shown(try_policies(&text));
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}: {problems:?}");
    }
    let deep = format!("entity E = {{ a: {}String{} }};", "Set<".repeat(5_000), ">".repeat(5_000));
    let record = format!("entity E = {{ a: {}String{} }};", "{a: ".repeat(150), "}".repeat(150));
    let levels = |n: usize| {
        let chain: String = (1..n).map(|k| format!("type T{k} = {{ a: T{} }};", k - 1)).collect();
        format!("type T0 = {{ a: String }}; {chain} entity E = {{ t: T{} }};", n - 1)
    };
    let doubling: String = (1..30).map(|k| format!("type T{k} = {{ a: T{0}, b: T{0} }};", k - 1)).collect();
    let types = |n: usize| (0..n).map(|k| format!("E{k}")).collect::<Vec<_>>().join(", ");
    let cases = [
        ("nested sets", deep, "nested more than 100"),
        ("nested records", record, "nested more than 100"),
        ("a chain of types", levels(20_000), "levels of records and sets"),
        (
            "types that double",
            format!("type T0 = {{ a: String }}; {doubling} entity E = {{ t: T29 }};"),
            "attributes",
        ),
        ("many types", format!("entity {};", types(2_001)), "2000 are allowed"),
        (
            "many combinations",
            format!("entity {0}; action a appliesTo {{ principal: [{0}], resource: [{0}] }};", types(500)),
            "200000 are allowed",
        ),
        ("brackets only", "}".repeat(1000), "unexpected token"),
        ("at signs", "@".repeat(100_000), "unexpected token"),
    ];
    for (name, text, expected) in cases {
        let problems = shown(load(&[SourceFile::new("s", text)], &[], Names::default()));
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}: {problems:?}");
    }
    assert_eq!(shown(load(&[SourceFile::new("s", levels(30))], &[], Names::default())), Vec::<String>::new());
}

/// Strict validation on a small stack says "passed" for this without having looked.
#[test]
fn a_mistake_at_the_end_of_a_long_condition_is_found() {
    let terms = vec!["context.callerEnvironment == \"a\""; 150].join(" || ");
    let text = format!(
        "@id(\"x\") @intent(\"y\") permit(principal, action, resource) when {{ {terms} || context.nope }};"
    );
    let errors = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || shown(try_policies(&text)))
        .unwrap()
        .join()
        .unwrap();
    assert!(errors[0].contains("attribute `nope` in context"), "{errors:?}");
}

/// Representatives must find what Cedar's own loop over all combinations finds.
#[test]
fn validation_finds_what_cedar_finds() {
    let scopes = [
        "principal, action, resource",
        "principal is User, action == Action::\"view\", resource",
        "principal in Role::\"staff\", action in Action::\"readActions\", resource is Document",
        "principal == Patient::\"pat\", action, resource in Org::\"clinic\"",
        "principal is Patient in Org::\"clinic\", action, resource",
        "principal in Colour::\"red\", action, resource",
        "principal is Patient, action == Action::\"export\", resource",
    ];
    let conditions = [
        "true",
        "principal.active",
        "principal.birthDate == \"x\"",
        "resource.labels.contains(\"x\")",
        "resource.recordCount > 1",
        "resource.author == principal",
        "action == Action::\"view\"",
        "action in Action::\"readActions\" && resource.labels.contains(1)",
        "principal == resource",
        "principal in resource.patient",
        "context.purpose == \"x\"",
        "context has purpose && context.purpose == 1",
        "context.grant.verified",
        "principal has level && principal.level > \"x\"",
        "User::\"x\".level > 1",
        "resource is Document && resource.nothing",
        "principal is Patient && principal.birthDate == \"x\"",
        "false",
    ];
    let validator = cedar_policy::Validator::new(schema::load(&schema()).unwrap().cedar);
    for scope in scopes {
        for condition in conditions {
            let text = format!("@id(\"x\") @intent(\"y\") permit({scope}) when {{ {condition} }};");
            let set: cedar_policy::PolicySet = text.parse().unwrap();
            let result = validator.validate(&set, cedar_policy::ValidationMode::Strict);
            let impossible = result.validation_warnings().any(|warning| {
                matches!(
                    warning,
                    cedar_policy::ValidationWarning::ImpossiblePolicy(_)
                        | cedar_policy::ValidationWarning::InvalidActionApplication(_)
                )
            });
            let file = SourceFile::new("p.cedar", text.as_str());
            let theirs: BTreeSet<(usize, usize)> = result
                .validation_errors()
                .flat_map(|error| crate::locate::problems(error, &file, 0))
                .map(|problem| (problem.line, problem.column))
                .collect();
            let found = try_policies(&text).err().map(|errors| errors.0).unwrap_or_default();
            let never = found.iter().any(|problem| problem.message.contains("can never apply"));
            let ours: BTreeSet<(usize, usize)> = found
                .iter()
                .filter(|problem| !problem.message.contains("can never apply"))
                .map(|problem| (problem.line, problem.column))
                .collect();
            assert_eq!(ours, theirs, "{text}\n{found:#?}");
            assert_eq!(never, impossible && theirs.is_empty(), "{text}");
        }
    }
}

#[test]
fn several_schema_files_make_one_schema() {
    let (people, rest) = SCHEMA.split_once("@kind(\"relation\")").unwrap();
    let files = [
        SourceFile::new("rest.cedarschema", format!("@kind(\"relation\"){rest}")),
        SourceFile::new("people.cedarschema", people),
    ];
    let loaded = load(&files, &[], names()).unwrap();
    let whole = load(&schema(), &[], names()).unwrap();
    assert_eq!(loaded.schema.types.keys().collect::<Vec<_>>(), whole.schema.types.keys().collect::<Vec<_>>());
    assert_eq!(loaded.schema.types["Grant"].kind, whole.schema.types["Grant"].kind);
    assert_eq!(loaded.schema.actions["view"].context, whole.schema.actions["view"].context);
}

#[test]
fn namespaces_are_followed_to_their_annotations() {
    let text = "namespace Hc {\n\
        type Ctx = { @supplied(\"host\") now: datetime, @supplied(\"caller\") purpose?: String };\n\
        @kind(\"patient\") entity Patient = { @format(\"date\") born: String };\n\
        entity User;\n\
        action \"view\" appliesTo { principal: User, resource: Patient, context: Ctx };\n}";
    let names =
        Names { actions: [("see".to_owned(), "Hc::Action::\"view\"".to_owned())].into(), ..Names::default() };
    let loaded = load(&[SourceFile::new("s", text)], &[], names).unwrap();
    assert_eq!(loaded.schema.types["Hc::Patient"].kind, Some(assent_model::EntityKind::Patient));
    let context = &loaded.names.actions["see"].context;
    assert_eq!(context["purpose"].supplied, Some(crate::schema::types::Supplier::Caller));
    assert_eq!(loaded.schema.types["Hc::Patient"].attributes["born"].value, crate::schema::types::Type::Date);
}

#[test]
fn policies_are_listed_with_their_place_and_the_digest_follows_content() {
    let a = "@id(\"a\") @intent(\"first\") permit(principal, action, resource);";
    let b = "// a comment\n@id(\"b\") @intent(\"second\")\nforbid(principal, action, resource) when { false || context.callerEnvironment == \"x\" };";
    let files = |first: &str, second: &str| [SourceFile::new("1", first), SourceFile::new("2", second)];
    let loaded = load(&schema(), &files(a, b), names()).unwrap();
    let listed: Vec<_> = loaded
        .notes()
        .map(|info| (info.note.id.as_str(), info.note.permits, info.file.as_str(), info.line))
        .collect();
    assert_eq!(listed, [("a", true, "1", 1), ("b", false, "2", 2)]);
    assert_eq!(loaded.digest(), load(&schema(), &files(b, a), names()).unwrap().digest());
    assert_ne!(
        loaded.digest(),
        load(&schema(), &files(a, a.replace("\"a\"", "\"b\"").as_str()), names()).unwrap().digest()
    );
    assert_ne!(loaded.digest(), load(&schema(), &files(a, b), Names::default()).unwrap().digest());
    assert!(format!("{:?}", policies(&[a.split(") ").last().unwrap()])).starts_with("Policies"));
}

#[test]
fn the_base_schema_loads() {
    let text = include_str!("../../../../policies/base/health.cedarschema");
    let loaded = load(&[SourceFile::new("health.cedarschema", text)], &[], Names::default()).unwrap();
    assert_eq!(loaded.schema.types["Patient"].kind, Some(assent_model::EntityKind::Patient));
    assert!(loaded.schema.actions["read"].context["now"].supplied.is_some());
}

#[test]
fn a_policy_knows_the_attributes_it_reads() {
    use std::str::FromStr;
    let policy = cedar_policy::Policy::from_str(
        r#"permit (principal, action, resource) when { context has a && context.a.b == principal.c && resource.d.e.contains(1) };"#,
    )
    .unwrap();
    let policy: &cedar_policy_core::ast::Policy = policy.as_ref();
    let shape = crate::load::shape::Shape::of(policy.non_scope_constraints());
    let reads: Vec<&str> = shape.reads.iter().map(String::as_str).collect();
    assert_eq!(reads, ["context.a.b", "resource.d.e", "subject.c"]);
}
