//! Every decision case of the examples and of the base policies, through the real engine.

use assent_cli::{cases, commands};

use crate::support::{AUTHZEN, CLINICS, POLICIES, World};

fn run(world: &World, at_least: usize) {
    let report = commands::test::run_all(&world.deployment, &world.built, None).unwrap();
    let failed: Vec<String> = report
        .outcomes
        .iter()
        .filter(|outcome| !outcome.differences.is_empty())
        .map(|o| format!("{}: {}\n    {}", o.case.file, o.case.name, o.differences.join("\n    ")))
        .collect();
    println!("{} passed, {} failed", report.passed(), report.failed());
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    assert!(report.passed() >= at_least, "only {} cases were found", report.passed());
}

#[test]
fn every_name_in_a_case_exists() {
    for world in [&*CLINICS, &*POLICIES, &*AUTHZEN] {
        let callers = commands::test::callers(&world.deployment);
        for organization in &world.built.organizations {
            for file in &organization.case_files {
                for case in cases::read(&file.name, &file.text).unwrap() {
                    let problems =
                        cases::check(&case, &organization.release, &organization.entity_files, &callers);
                    assert_eq!(problems, []);
                }
            }
        }
    }
}

#[test]
fn the_cases_of_the_clinics_come_out_as_written() {
    run(&CLINICS, 50);
}

#[test]
fn the_cases_of_the_base_policies_come_out_as_written() {
    run(&POLICIES, 100);
}
