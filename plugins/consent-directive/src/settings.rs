//! How an organization sets the rule: what holds without a consent, who belongs to whom, and what its
//! callers can leave out.
//!
//! INVARIANT (chosen, not assumed): what holds without a consent has no default. Whoever lets records go
//! without one has written so.

use assent_plugin_sdk::prelude::*;

use crate::condition::Kind;

/// The settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What holds where no consent on file is about the request: `permit` (patients opt out) or `deny`
    /// (patients opt in). Must be said.
    pub no_consent: Option<WithoutConsent>,
    /// What a consent means that has ended, where none is in force.
    #[serde(default)]
    pub expired: Expired,
    /// Forms of consent that are authorizations for other rules to judge: one of these forms that has
    /// neither base nor provisions is no directive, and is passed over.
    #[serde(default)]
    pub authorizations: Vec<String>,
    /// Groups that consents name as actors, and organizations that are part of others.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// What the organization's callers can leave out of an answer, beside the labels and categories of
    /// the obligation `redact`. What remains to be kept back otherwise is denied.
    #[serde(default)]
    pub callers_redact: Vec<Redaction>,
    /// The queue of people who clear up consents that cannot be read.
    #[serde(default = "privacy_office")]
    pub queue: String,
}

/// What holds where no consent on file is about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutConsent {
    /// Nothing is kept back: patients opt out.
    Permit,
    /// Everything is: patients opt in.
    Deny,
}

/// What a consent means that has ended, where none is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expired {
    /// Everything is kept back until there is another (IHE PCF).
    #[default]
    Deny,
    /// The same as if there had been none.
    NoConsent,
}

/// A group or organization and who is in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// `Group::ex-privileged` or `Organization::north-health`.
    pub name: String,
    /// `Practitioner::dr-b`, `Organization::north-clinic`, or another group.
    pub members: Vec<String>,
}

/// Something that a caller can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Redaction {
    /// `classes`: types of resources and classes of documents.
    Classes,
    /// `codes`: clinical codes.
    Codes,
    /// `data`: named data, and what depends on them.
    Data,
    /// `dates-from`, `dates-until`: data of a time.
    Dates,
    /// `except-…`: everything but what is named.
    Except,
}

/// The configured rule's settings.
#[derive(Debug)]
pub struct Configured {
    /// What holds without a consent.
    pub root: ProvisionEffect,
    /// Whether a consent that has ended denies where none is in force.
    pub expired_denies: bool,
    /// Forms that are no directives.
    pub authorizations: Vec<String>,
    /// Who is in which group.
    pub groups: Groups,
    /// What callers can leave out.
    pub redactions: Vec<Redaction>,
    /// Who clears up.
    pub queue: String,
}

/// Who is in which group.
#[derive(Debug, Default)]
pub struct Groups {
    /// Members with their group.
    of: Vec<(EntityId, EntityId)>,
}

impl Groups {
    /// These names, and the groups that they are in, through groups of groups.
    pub fn around<'a>(&'a self, names: impl Iterator<Item = &'a EntityId>) -> Vec<&'a EntityId> {
        let mut around: Vec<_> = names.collect();
        let mut next = 0;
        while let Some(&name) = around.get(next) {
            next += 1;
            for (_, group) in self.of.iter().filter(|(member, _)| member == name) {
                // Each once, so that groups which contain each other end.
                if !around.contains(&group) {
                    around.push(group);
                }
            }
        }
        around
    }

    /// Whether it is said who is in this group.
    pub fn has(&self, name: &EntityId) -> bool {
        self.of.iter().any(|(_, group)| group == name)
    }
}

impl Configured {
    /// The settings, checked.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(settings: Settings) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if settings.no_consent.is_none() {
            let expected =
                "expected `permit` (patients opt out) or `deny` (patients opt in): it has no default";
            problems.at("/no_consent", expected);
        }
        if settings.queue.trim().is_empty() {
            problems.at("/queue", "expected the name of a queue; leave it out for `privacy-office`");
        }
        for (at, form) in settings.authorizations.iter().enumerate() {
            if form.trim().is_empty() {
                problems
                    .at(format!("/authorizations/{at}"), "expected a form of consent, such as `part2-tpo`");
            }
        }
        let groups = groups(&settings.groups, &mut problems);
        problems.or(Self {
            root: match settings.no_consent {
                Some(WithoutConsent::Permit) => ProvisionEffect::Permit,
                Some(WithoutConsent::Deny) | None => ProvisionEffect::Deny,
            },
            expired_denies: settings.expired == Expired::Deny,
            authorizations: settings.authorizations,
            groups,
            redactions: settings.callers_redact,
            queue: settings.queue,
        })
    }

    /// Whether callers can leave out data by this.
    pub fn redacts(&self, kind: Kind) -> bool {
        match kind {
            Kind::Labels | Kind::Categories => true,
            Kind::Classes => self.redactions.contains(&Redaction::Classes),
            Kind::Codes => self.redactions.contains(&Redaction::Codes),
            Kind::Data => self.redactions.contains(&Redaction::Data),
        }
    }
}

fn groups(written: &[Group], problems: &mut Problems) -> Groups {
    let mut groups = Groups::default();
    let mut names: Vec<&str> = Vec::new();
    for (at, group) in written.iter().enumerate() {
        let place = format!("/groups/{at}");
        let name = entity(&format!("{place}/name"), &group.name, problems);
        if names.contains(&group.name.as_str()) {
            problems
                .at(format!("{place}/name"), format!("`{}` is named twice: join its members", group.name));
        }
        names.push(&group.name);
        if group.members.is_empty() {
            problems.at(format!("{place}/members"), "expected at least one member");
        }
        for (at, member) in group.members.iter().enumerate() {
            let place = format!("{place}/members/{at}");
            let member = entity(&place, member, problems);
            if member == name && member.is_some() {
                problems.at(place, "a group is no member of itself");
            } else if let (Some(member), Some(name)) = (member, &name) {
                groups.of.push((member, name.clone()));
            }
        }
    }
    groups
}

fn entity(place: &str, text: &str, problems: &mut Problems) -> Option<EntityId> {
    let parts = text.split_once("::").filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
    if parts.is_none() {
        problems.at(
            place,
            format!("`{text}` names nobody: expected a type and an id, such as `Organization::north`"),
        );
    }
    parts.map(|(kind, id)| EntityId::new(kind, id))
}

fn privacy_office() -> String {
    "privacy-office".to_owned()
}
