//! How copies, witnesses and the state stand, for whoever reads the metrics.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use assent_engine::state::LiveState;
use assent_outbound::copies::Watch;
use assent_outbound::witness::{State, Status, Witnessing};
use assent_server::Clock;
use assent_server::metrics::{Family, Gauges, Kind, Sample};

use super::state::States;

/// The state of each organization.
#[derive(Debug)]
pub(super) struct StateGauges(pub(super) States);

impl Gauges for StateGauges {
    fn families(&self) -> Vec<Family> {
        let each = |name, help, value: fn(&LiveState) -> f64| {
            let samples = self.0.iter().map(|(organization, state)| Sample::of(organization, value(state)));
            Family { name, help, kind: Kind::Gauge, samples: samples.collect() }
        };
        vec![
            each("assent_state_version", "Changes of the state that decisions see.", |state| {
                state.version() as f64
            }),
            each(
                "assent_state_stale",
                "1 while the database was not heard of for too long: permits are denied then.",
                |state| f64::from(u8::from(!state.is_fresh())),
            ),
        ]
    }
}

/// The copies of a service's logs.
#[derive(Debug)]
pub(super) struct CopyGauges {
    pub(super) watch: Watch,
    pub(super) clock: Arc<dyn Clock>,
}

impl Gauges for CopyGauges {
    fn families(&self) -> Vec<Family> {
        let status = self.watch.status();
        let since_1970 =
            Duration::from_millis(u64::try_from(self.clock.now().as_millis()).unwrap_or_default());
        let now = SystemTime::UNIX_EPOCH + since_1970;
        let failing = status.failure.is_some() || status.alarm.is_some();
        // Before the first round nothing is known, and zeros would say that all is well.
        let looked = failing || status.complete_at.is_some();
        let one = |name, help, value: f64| Family {
            name,
            help,
            kind: Kind::Gauge,
            samples: looked.then(|| Sample::new(value)).into_iter().collect(),
        };
        vec![
            one(
                "assent_copy_lag_records",
                "Records that the copies do not have, those of open segments included.",
                status.records_behind as f64,
            ),
            one(
                "assent_copy_waiting_segments",
                "Sealed segments that are not copied yet.",
                status.segments_waiting as f64,
            ),
            one(
                "assent_copy_lag_seconds",
                "For how long the oldest of these has waited; 0 where there is none.",
                status.seconds_behind(now) as f64,
            ),
            one(
                "assent_copy_failing",
                "1 while copying fails, or a copy is not what was copied.",
                f64::from(u8::from(failing)),
            ),
        ]
    }
}

/// The witnesses of a service's logs.
pub(super) struct WitnessGauges(pub(super) Arc<Witnessing>);

impl std::fmt::Debug for WitnessGauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WitnessGauges")
    }
}

impl Gauges for WitnessGauges {
    fn families(&self) -> Vec<Family> {
        let standings = self.0.status();
        let each = |name, help, value: fn(&Status) -> f64| {
            let sample = |status: &Status| {
                Sample::of(&status.organization, value(status))
                    .with("year", &status.year.to_string())
                    .with("witness", &status.witness)
            };
            Family { name, help, kind: Kind::Gauge, samples: standings.iter().map(sample).collect() }
        };
        vec![
            each(
                "assent_witness_lag_seconds",
                "Since the witness last cosigned the log; if never, since it was first asked.",
                |status| status.lag.as_secs_f64(),
            ),
            each(
                "assent_witness_contradicted",
                "1 where the witness knows another log: nothing is permitted then.",
                |status| f64::from(u8::from(matches!(status.state, State::Contradicted(_)))),
            ),
        ]
    }
}
