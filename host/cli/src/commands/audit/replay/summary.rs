//! What came of decisions that were made again: alarms as they come, then counts by release.

use std::collections::BTreeMap;
use std::io::Write;

use assent_audit::record::DecisionEvent;
use assent_audit::shelf::Place;
use assent_audit::text::printable;
use assent_engine::Replayed;
use assent_engine::replay::NotTried;
use assent_model::Digest;
use serde_json::json;

use crate::commands::audit::table::short;

/// Counts by release and facts.
#[derive(Debug, Default)]
pub(super) struct Summary {
    releases: BTreeMap<(Digest, Digest), Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    same: u64,
    alarms: BTreeMap<&'static str, u64>,
    not_tried: BTreeMap<NotTried, u64>,
}

impl Counts {
    fn alarms(&self) -> u64 {
        self.alarms.values().sum()
    }

    fn not_tried(&self) -> u64 {
        self.not_tried.values().sum()
    }
}

impl Summary {
    /// Counts what came of one decision; an alarm is written at once.
    pub(super) fn add(
        &mut self,
        place: Place,
        event: &DecisionEvent,
        replayed: &Replayed,
        as_json: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let counts = self.releases.entry((event.release, event.facts.snapshot)).or_default();
        match replayed {
            Replayed::Same => counts.same += 1,
            Replayed::NotTried(why) => *counts.not_tried.entry(*why).or_default() += 1,
            Replayed::Alarm(alarm) => {
                *counts.alarms.entry(alarm.code()).or_default() += 1;
                let id = event.id.to_string();
                // With its causes, as other errors are printed.
                let said = format!("{:#}", anyhow::Error::from(alarm.clone()));
                if as_json {
                    let line = json!({
                        "alarm": alarm.code(), "place": place.to_string(), "id": id, "message": said,
                    });
                    writeln!(out, "{line}")?;
                } else {
                    writeln!(out, "{}", printable(&format!("ALARM: {place} ({id}): {said}")))?;
                }
            }
        }
        Ok(())
    }

    /// Writes the counts: by release, then all together.
    pub(super) fn write(&self, as_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let total = |count: fn(&Counts) -> u64| self.releases.values().map(count).sum::<u64>();
        let (same, alarms, not_tried) =
            (total(|counts| counts.same), total(Counts::alarms), total(Counts::not_tried));
        if as_json {
            let releases = self.releases.iter().map(|((release, facts), counts)| {
                let codes = counts.not_tried.iter().map(|(why, count)| (why.code(), *count));
                json!({
                    "release": release, "facts": facts, "same": counts.same, "alarms": counts.alarms,
                    "not_tried": codes.collect::<BTreeMap<_, _>>(),
                })
            });
            let releases = releases.collect::<Vec<_>>();
            writeln!(
                out,
                "{}",
                json!({ "same": same, "alarms": alarms, "not_tried": not_tried, "releases": releases })
            )?;
            return Ok(());
        }
        for ((release, facts), counts) in &self.releases {
            let (release, facts) = (short(release), short(facts));
            writeln!(
                out,
                "release {release} with facts {facts}: {} the same, {} differ, {} not tried",
                counts.same,
                counts.alarms(),
                counts.not_tried()
            )?;
            for (why, count) in &counts.not_tried {
                writeln!(out, "  {count} not tried: {why}")?;
            }
        }
        writeln!(out, "{same} came out the same, {alarms} differ, {not_tried} not tried")?;
        if self.releases.is_empty() {
            writeln!(out, "there is no decision in this time to make again")?;
        }
        let lacks = |why: &NotTried| matches!(why, NotTried::NoArchive | NotTried::Incomplete);
        if self.releases.values().any(|counts| counts.not_tried.keys().any(lacks)) {
            writeln!(
                out,
                "what has no archive can be tried on the deployment as it was then, beside the same log"
            )?;
        }
        Ok(())
    }

    /// Whether something was made again, and all of it came out the same. What depended on how busy the machine
    /// was cannot be made again, and is no reason for doubt; a missing archive is.
    pub(super) fn is_well(&self) -> bool {
        let good = |counts: &Counts| {
            counts.alarms.is_empty() && counts.not_tried.keys().all(|why| *why == NotTried::Circumstances)
        };
        self.releases.values().any(|counts| counts.same > 0) && self.releases.values().all(good)
    }
}
