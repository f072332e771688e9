//! What holds where no provision says otherwise, and what says so.
//!
//! In this order: `provision.type` of the root, which IHE PCF requires and R4's text forbids; `policyRule`, which R4
//! has for it; `policy.uri`, where the settings know the policy; or nothing, and the base is indeterminate.
//! Policies that contradict each other are unsupported, whichever of them would count.

use serde_json::Value;

use crate::coding::ACT_CODE;
use crate::outcome::{BaseSource, Remark, Why};
use crate::provision::Provision;
use crate::reader::{Element, Reader};
use crate::settings::Effect;

/// All of v3-ActCode's policies of opting in: without and with restrictions, which are the provisions.
const OPT_IN: [&str; 2] = ["OPTIN", "OPTINR"];
/// And of opting out, without and with exceptions.
const OPT_OUT: [&str; 2] = ["OPTOUT", "OPTOUTE"];

impl Reader<'_> {
    pub(crate) fn base(
        &mut self,
        root: &Element<'_>,
        provision: Option<&Provision<'_>>,
    ) -> (Option<Effect>, BaseSource) {
        let by_rule = self.policy_rule(root);
        let by_uri = self.policy_uris(root);
        if let Some(own) = provision.and_then(|provision| provision.effect) {
            if by_rule.is_some_and(|rule| rule != own) {
                self.note(root.path_of("provision.type"), Remark::PolicyRuleOverruled);
            }
            (Some(own), BaseSource::RootType)
        } else if let Some(effect) = by_rule {
            (Some(effect), BaseSource::PolicyRule)
        } else if let Some(effect) = by_uri {
            (Some(effect), BaseSource::PolicyUri)
        } else {
            (None, BaseSource::Indeterminate)
        }
    }

    fn policy_rule(&mut self, root: &Element<'_>) -> Option<Effect> {
        let at = root.member("policyRule")?;
        let codings = self.codings(&at);
        let effect = |code| match code {
            code if OPT_IN.contains(&code) => Some(Effect::Permit),
            code if OPT_OUT.contains(&code) => Some(Effect::Deny),
            _ => None,
        };
        let codes = codings.iter().filter(|coding| coding.system == Some(ACT_CODE));
        let effects: Vec<_> = codes.filter_map(|coding| coding.code.and_then(effect)).collect();
        self.agreed(&effects, at.path)
    }

    fn policy_uris(&mut self, root: &Element<'_>) -> Option<Effect> {
        let mut effects = Vec::new();
        for policy in self.list(root, "policy") {
            match policy.value.get("uri") {
                None => {}
                Some(Value::String(uri)) => effects.extend(self.settings.policies.get(uri)),
                Some(_) => self.problem(format!("{}.uri", policy.path), "the URI of a policy"),
            }
        }
        self.agreed(&effects, root.path_of("policy"))
    }

    fn agreed(&mut self, effects: &[Effect], path: String) -> Option<Effect> {
        let first = effects.first().copied();
        if effects.iter().all(|effect| Some(*effect) == first) {
            return first;
        }
        self.unsupported(path, Why::Contradiction);
        None
    }
}
