//! The exporters of a deployment: what they point to looked at, started beside the service, measured, ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assent_audit::logs::Logs;
use assent_audit::text::in_full;
use assent_model::OrganizationId;
use assent_outbound::export::{self, Exporter, Pace, Prepared, Running, State};
use assent_policy::{LoadErrors, LoadProblem};
use assent_server::Clock;
use assent_server::metrics::{Family, Gauges, Kind, Sample};
use zeroize::Zeroizing;

use crate::deployment::Deployment;
use crate::deployment::config::{ExportConfig, part};
use crate::say::say;
use crate::secrets;

/// How long a stopping service waits for what its exporters have not delivered: whatever is left goes out
/// after the next start.
const GRACE: Duration = Duration::from_secs(5);

/// The exporters that a deployment describes, without what is secret: for those who look at how far they are.
///
/// # Errors
/// None where the deployment was read: it was checked then.
pub fn described(deployment: &Deployment) -> anyhow::Result<Vec<Exporter>> {
    let exports = deployment.config.audit.iter().flat_map(|audit| &audit.exports);
    let known = organizations(deployment);
    let token = |config: &ExportConfig| config.token.as_ref().map(|_| Zeroizing::new("token".to_owned()));
    let each = exports.map(|config| {
        let exporter = config.exporter(&deployment.root, &known, token(config));
        exporter.map_err(|(_, error)| error).with_context(|| format!("exporter `{}`", config.id))
    });
    each.collect()
}

/// The exporters, with certificates, keys and tokens read. No connection is opened.
///
/// # Errors
/// Everything that is missing, or not what it should be, with its place in `assent.toml`.
pub fn prepare(deployment: &Deployment) -> Result<Vec<Prepared>, LoadErrors> {
    let known = organizations(deployment);
    let (mut prepared, mut problems) = (vec![], vec![]);
    for (index, config) in deployment.config.audit.iter().flat_map(|audit| &audit.exports).enumerate() {
        match prepare_one(deployment, config, &known) {
            Ok(one) => prepared.push(one),
            Err((part, message)) => {
                let pointer = format!("/audit/export/{index}{part}");
                problems.push(deployment.places.problem(&pointer, message));
            }
        }
    }
    if problems.is_empty() { Ok(prepared) } else { Err(LoadErrors(problems)) }
}

fn prepare_one(
    deployment: &Deployment,
    config: &ExportConfig,
    known: &[OrganizationId],
) -> Result<Prepared, (&'static str, String)> {
    let token = config.token.as_deref().map(|token| secrets::named(&deployment.root, token)).transpose();
    let token = token.map_err(|error| ("/token", format!("`token`: {error:#}")))?;
    let described = config.exporter(&deployment.root, known, token);
    let exporter = described.map_err(|(part, error)| (part, error.to_string()))?;
    export::prepare(exporter)
        .map_err(|error| (part(&error), LoadProblem::of_file("", in_full(&error)).message))
}

fn organizations(deployment: &Deployment) -> Vec<OrganizationId> {
    deployment.organizations.iter().map(|organization| organization.config.id.clone()).collect()
}

/// The exporters of a running service.
#[derive(Debug)]
pub struct Exporters {
    running: Vec<Running>,
    clock: Arc<dyn Clock>,
}

impl Exporters {
    /// Starts them beside these logs.
    ///
    /// # Errors
    /// When one cannot tell how far it was, or there is no thread.
    pub fn start(prepared: Vec<Prepared>, logs: &Arc<Logs>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let mut running = vec![];
        for prepared in prepared {
            running.push(prepared.start(logs, Pace::default(), say).context("an exporter cannot start")?);
        }
        Ok(Self { running, clock })
    }

    /// What they are called and where they send.
    pub fn described(&self) -> impl Iterator<Item = &Exporter> {
        self.running.iter().map(Running::exporter)
    }

    /// Lets them deliver what is left, for a few seconds. Blocks.
    pub fn end(&self) {
        // All at once, so that they share the time.
        self.running.iter().for_each(|running| running.end(GRACE));
        self.running.iter().for_each(Running::wait_for_end);
    }
}

impl Gauges for Exporters {
    fn families(&self) -> Vec<Family> {
        let states: Vec<State> = self.running.iter().map(Running::state).collect();
        let now = self.clock.now();
        let of_exporters = |name, help, kind, value: fn(&State) -> f64| {
            let sample = |state: &State| Sample::new(value(state)).with("exporter", state.id.as_str());
            Family { name, help, kind, samples: states.iter().map(sample).collect() }
        };
        let of_organizations =
            |name, help, kind, value: &dyn Fn(&export::OrganizationState) -> Option<f64>| {
                let samples = states.iter().flat_map(|state| {
                    state.organizations.iter().filter_map(|of| {
                        Some(Sample::of(&of.organization, value(of)?).with("exporter", state.id.as_str()))
                    })
                });
                Family { name, help, kind, samples: samples.collect() }
            };
        vec![
            of_organizations(
                "assent_export_lag_records",
                "Durable records that the receiver does not have yet.",
                Kind::Gauge,
                &|of| of.lag.map(|lag| lag as f64),
            ),
            of_organizations(
                "assent_export_lag_seconds",
                "Age of the oldest record that was read and not delivered; 0 where there is none.",
                Kind::Gauge,
                &|of| {
                    let age =
                        |at: assent_model::Instant| now.as_millis().saturating_sub(at.as_millis()).max(0);
                    Some(of.oldest.map_or(0.0, |at| age(at) as f64 / 1e3))
                },
            ),
            of_organizations(
                "assent_export_sent_records_total",
                "Records delivered since the start; one that was delivered twice counts twice.",
                Kind::Counter,
                &|of| Some(of.sent as f64),
            ),
            of_organizations(
                "assent_export_refused_records",
                "Records that the receiver refuses, set aside.",
                Kind::Gauge,
                &|of| Some(of.set_aside as f64),
            ),
            of_exporters(
                "assent_export_failures_total",
                "Tries that failed since the start.",
                Kind::Counter,
                |state| state.failures as f64,
            ),
            of_exporters("assent_export_failing", "1 while the last try failed.", Kind::Gauge, |state| {
                f64::from(u8::from(state.failing))
            }),
        ]
    }
}
