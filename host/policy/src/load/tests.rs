use std::collections::BTreeSet;

use super::*;
use crate::testing::{SCHEMA, names, schema, try_policies};

#[test]
fn golden() {
    for text in POLICY_PROBLEMS {
        println!("CASE {text}");
        for problem in try_policies(text).err().map(|e| e.0).unwrap_or_default() { println!("   => {problem}"); }
    }
    for text in SCHEMA_PROBLEMS {
        println!("CASE {text}");
        let r = load(&[SourceFile::new("s.cedarschema", *text)], &[], Names::default());
        for problem in r.err().map(|e| e.0).unwrap_or_default() { println!("   => {problem}"); }
    }
}
const SCHEMA_PROBLEMS: &[&str] = &[
    "entity User = { a: Strin };",
    "entity User\nentity B;",
    "@knd(\"patient\")\nentity User;",
    "@kind(\"patent\") entity User;",
    "@kind(\"relation\") @from(\"a\") @to(\"c\") entity R = { a: U, b: U }; entity U;",
    "@from(\"a\") entity R = { a: R };",
    "entity U = { @supplied(\"host\") a: String };",
    "entity U = { @supplied a: String };",
    "entity U; action a appliesTo { principal: U, resource: U, context: { x: String } };",
    "entity U; @kind(\"relation\") @from(\"f\") @to(\"t\") entity R = {f: U, t: U}; action a appliesTo { principal: U, resource: U, context: { @supplied(\"host\") r: R } };",
    "entity U tags String;",
    "type X = { @bogus(\"1\") a: String }; entity U = { x: X };",
    "entity U; entity U;",
    "action a appliesTo { principal: Nope, resource: Nope };",
];
const POLICY_PROBLEMS: &[&str] = &[
    "permit(principal, action, resource);",
    "@id(\"A b\") @intent(\"x\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource);\n@id(\"a\") @intent(\"x\")\npermit(principal, action, resource);",
    "@id(\"a\") @intnt(\"x\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\")\n  @obligation(\"watermrk\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @obligation(\"step-up acr\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @obligation(\"notify to='a\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @remedy(\"break-glas\") forbid(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @remedy(\"step-up\") forbid(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @remedy(\"step-up acr=mfa lvl=2\") forbid(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @remedy(\"approval kind=export quorum=two\") forbid(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") @remedy(\"break-glass\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal == ?principal, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resorce);\n\n@id(\"b\") @intent(\"x\") permit(principl, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource) when { context.purpos == \"x\" };",
    "@id(\"a\") @intent(\"x\") permit(principal is User, action, resource is Document)\nwhen { resource.author == principal };",
    "@id(\"a\") @intent(\"x\") permit(principal is Usr, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action == Action::\"vew\", resource);",
    "@id(\"a\") @intent(\"x\") permit(principal is Patient, action == Action::\"export\", resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource) when { context.now < context.now && false };",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource)",
    "@id(\"a\") @intent(\"x\") @id(\"b\") permit(principal, action, resource);",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource) when { \"a\u{202e}b\" == context.callerEnvironment };",
    "@id(\"a\") @intent(\"x\") permit(principal, action, resource) when { 1 + \"a\" == 2 };",
];
