//! What holds where no provision says otherwise, and what says so.
//!
//! In this order: `provision.type` of the root, which IHE PCF requires and R4's text forbids; `policyRule`, which R4
//! has for it; `policy.uri`, where the settings know the policy; or nothing, and the base is indeterminate.
//! Policies that contradict each other are unsupported, whichever of them would count, and so is a policy rule
//! of which any coding is not known: it may say the contrary.

use crate::coding::ACT_CODE;
use crate::outcome::{BaseSource, Remark, Why};
use crate::provision::Provision;
use crate::reader::{Element, Reader};
use crate::settings::Effect;
use crate::shapes::POLICY;

/// All of v3-ActCode's policies of opting in: without and with restrictions, which are the provisions.
const OPT_IN: [&str; 2] = ["OPTIN", "OPTINR"];
/// And of opting out, without and with exceptions.
const OPT_OUT: [&str; 2] = ["OPTOUT", "OPTOUTE"];

impl Reader<'_> {
    pub(crate) fn base(
        &mut self,
        root: &Element<'_>,
        provision: Option<&Provision<'_>>,
        policies: &[&str],
    ) -> (Option<Effect>, BaseSource) {
        let by_rule = self.policy_rule(root);
        let by_uri = self.by_policy(root, policies);
        if by_rule.zip(by_uri).is_some_and(|(rule, uri)| rule != uri) {
            self.unsupported(root.path_of("policy"), Why::Contradiction);
        }
        if let Some(own) = provision.and_then(|provision| provision.effect) {
            if [by_rule, by_uri].into_iter().flatten().any(|policy| policy != own) {
                self.note(root.path_of("provision.type"), Remark::PolicyOverruled);
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
        let malformed = self.found.malformed();
        let codings = self.codings(&at);
        if codings.is_empty() && self.found.malformed() == malformed {
            self.unsupported(at.path.as_str(), Why::TextOnly);
        }
        let mut effects = Vec::new();
        for coding in codings {
            match (coding.system, coding.code) {
                (Some(ACT_CODE), Some(code)) if OPT_IN.contains(&code) => effects.push(Effect::Permit),
                (Some(ACT_CODE), Some(code)) if OPT_OUT.contains(&code) => effects.push(Effect::Deny),
                (Some(ACT_CODE), _) => self.unsupported(coding.path, Why::Code),
                _ => self.unsupported(coding.path, Why::CodeSystem),
            }
        }
        self.agreed(&effects, at.path)
    }

    /// The policies that the document names.
    pub(crate) fn policies<'a>(&mut self, root: &Element<'a>) -> Vec<&'a str> {
        let mut uris = Vec::new();
        for at in self.list(root, "policy") {
            let Some(policy) = self.element(&at, &POLICY) else { continue };
            uris.extend(self.text(&policy, "uri"));
        }
        uris
    }

    fn by_policy(&mut self, root: &Element<'_>, policies: &[&str]) -> Option<Effect> {
        let effects = policies.iter().filter_map(|uri| self.settings.policies.get(*uri)).copied();
        let effects: Vec<_> = effects.collect();
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
