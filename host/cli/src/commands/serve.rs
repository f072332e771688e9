//! `assent serve DIR`: the decision API of a deployment, and its life from the first look at the files to the last
//! record.
//!
//! First, while nothing runs and nothing is recorded, everything is looked at that can be refused ([`Ready`]). From
//! then on signals ask to stop and no longer kill ([`Asked`]). The log is opened, with the records of this start; what
//! runs beside begins ([`Life::begin`]); it is said that it serves, and it serves ([`Life::serve`]), until somebody
//! asks it to stop or a task beside it fails. INVARIANT (an end in order): once the log is open, every end but a kill
//! goes through [`Life::stop`], and no step of it that fails keeps the others from being done.

mod asked;
mod beside;
mod clock;
mod copies;
mod gauges;
mod inbox;
mod log;
mod ready;
mod service;
mod settings;
pub(super) mod state;
mod takeover;
mod witnesses;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use assent_engine::AuditRecorder;
use assent_model::Instant;
use assent_outbound::witness::Witnessing;
use assent_server::{Callers, Clock, Gauges, SystemClock};
use tokio::task::spawn_blocking;

use crate::deployment::Deployment;
use crate::deployment::build::Built;
use crate::exporters::Exporters;
use crate::say::say;
use asked::Asked;
use beside::Beside;
use gauges::{CopyGauges, StateGauges, WitnessGauges};
use ready::{Address, Ready, ReadyBeside};
use service::With;
use state::States;

pub use service::{callers, check};

/// Serves until it is asked to stop, then finishes what is under way.
///
/// # Errors
/// When the deployment does not load, or the address cannot be listened on; when something that runs beside the
/// service failed; when a step of its end did.
pub fn serve(root: &Path, listen: Option<SocketAddr>, stopped_clock: Option<Instant>) -> anyhow::Result<()> {
    let (deployment, built) = super::load_quietly(root)?;
    let address = permitted(&deployment, listen, stopped_clock)?;
    let runtime = assent_server::runtime().context("the service's threads could not be started")?;
    let clock: Arc<dyn Clock> = match stopped_clock {
        None => Arc::new(SystemClock),
        Some(instant) => Arc::new(StoppedClock(instant)),
    };
    runtime.block_on(async {
        let Ready { logs, callers, address, beside } = Ready::look(&deployment, address)?;
        let asked = Asked::listen().context("the signals that ask to stop cannot be had")?;
        let plan = Plan { deployment, built, stopped_clock };
        let mut life = Life::new(clock);
        if let Some(logs) = logs {
            let (what, now) = ((&plan.deployment, &plan.built), life.clock.now());
            let takeovers = takeover::permitted(&logs, what, now)?;
            life.log = Some(log::open(logs, what, takeovers, now).await?);
        }
        let served = match life.open_state(&plan).await {
            Ok(()) => life.serve(&plan, (callers, address, beside), asked).await,
            Err(error) => Err(error),
        };
        let problems = served.err().into_iter().chain(life.stop().await);
        together(problems.collect())
    })
}

/// The address to listen on, where that may be.
fn permitted(
    deployment: &Deployment,
    listen: Option<SocketAddr>,
    stopped_clock: Option<Instant>,
) -> anyhow::Result<SocketAddr> {
    let server = &deployment.config.server;
    let address = listen.unwrap_or(server.listen);
    // Expiry does not work on a clock that stands still, so nothing real may depend on it.
    ensure!(
        stopped_clock.is_none() || address.ip().is_loopback(),
        "`--stopped-clock` is for demonstrations on this machine: `{address}` is not loopback"
    );
    ensure!(
        address.ip().is_loopback() || server.allow_remote,
        "`{address}` can be reached from other machines: listen on 127.0.0.1, or set `server.allow_remote = true` \
         if something in front encrypts and authenticates"
    );
    Ok(address)
}

/// One error of all.
fn together(mut problems: Vec<anyhow::Error>) -> anyhow::Result<()> {
    if problems.len() < 2 {
        return problems.pop().map_or(Ok(()), Err);
    }
    let problems: Vec<String> = problems.iter().map(|problem| format!("{problem:#}")).collect();
    Err(anyhow!(problems.join("; ")))
}

/// A clock for demonstrations, whose data and requests are of one day.
#[derive(Debug)]
struct StoppedClock(Instant);

impl Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

/// What is to be served.
struct Plan {
    deployment: Deployment,
    built: Built,
    stopped_clock: Option<Instant>,
}

/// What runs while a service does.
struct Life {
    clock: Arc<dyn Clock>,
    /// The durable log; `None` where records are kept in memory, and then nothing runs beside.
    log: Option<AuditRecorder>,
    /// What decisions stand on beside the releases; none where the deployment keeps none.
    states: States,
    beside: Beside,
    /// Each on a thread of its own.
    exporters: Option<Arc<Exporters>>,
    witnessing: Option<Arc<Witnessing>>,
    gauges: Vec<Arc<dyn Gauges>>,
}

impl Life {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            log: None,
            states: States::new(),
            beside: Beside::default(),
            exporters: None,
            witnessing: None,
            gauges: vec![],
        }
    }

    /// Lays the state over the releases.
    ///
    /// # Errors
    /// See [`state::open`].
    async fn open_state(&mut self, plan: &Plan) -> anyhow::Result<()> {
        if let Some(log) = &self.log {
            self.states = state::open((&plan.deployment, &plan.built), log).await?;
        }
        Ok(())
    }

    /// Begins what runs beside the service and its log.
    ///
    /// # Errors
    /// When an exporter cannot tell how far it was, or there is no thread for it.
    fn begin(&mut self, plan: &Plan, ready: ReadyBeside) -> anyhow::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        let ReadyBeside { exporters, copies, witnesses } = ready;
        let clock = || Arc::clone(&self.clock);
        let beside = &mut self.beside;

        let exporters = Arc::new(Exporters::start(exporters, log.logs(), clock())?);
        self.gauges.push(Arc::<Exporters>::clone(&exporters));
        self.exporters = Some(exporters);

        beside.begin("the watch over the log and its keys", log::watch(log.clone(), clock()));
        beside.begin("the turn of the year", log::turn(log.clone(), clock()));
        if !self.states.is_empty() {
            self.gauges.push(Arc::new(StateGauges(self.states.clone())));
            beside.begin("the look at the state", state::watch(self.states.clone(), clock()));
        }
        beside.begin("the inbox of commands", inbox::watch(log.clone(), clock()));
        if plan.stopped_clock.is_none() {
            beside.begin("the look at the clock", clock::watch(log.clone(), clock()));
        }
        if let Some(copies) = copies {
            self.gauges.push(Arc::new(CopyGauges { watch: copies.watch(), clock: clock() }));
            beside.begin("copies", copies::run(copies));
        }
        if let Some(audit) = plan.deployment.config.audit.as_ref().filter(|_| !witnesses.is_empty()) {
            let witnessing = Arc::new(Witnessing::new(Arc::clone(log.logs()), witnesses));
            let interval = Duration::from_secs(audit.witness_interval_s);
            self.gauges.push(Arc::new(WitnessGauges(Arc::clone(&witnessing))));
            beside.begin("witnesses", witnesses::watch(Arc::clone(&witnessing), interval));
            self.witnessing = Some(witnessing);
        }
        Ok(())
    }

    /// Serves until somebody asks it to stop, or a task beside fails.
    ///
    /// # Errors
    /// That task; or requests that did not end in time.
    async fn serve(
        &mut self,
        plan: &Plan,
        (callers, address, ready): (Callers, Address, ReadyBeside),
        mut asked: Asked,
    ) -> anyhow::Result<()> {
        self.begin(plan, ready)?;
        let (recorder, clock, gauges) = (self.log.clone(), Arc::clone(&self.clock), self.gauges.clone());
        let with = With { callers, recorder, states: self.states.clone(), clock, gauges };
        let service = Arc::new(service::service(&plan.deployment, &plan.built, with)?);
        let listener = address.listen()?;
        self.announce(listener.local_addr().context("the address could not be told")?, plan);
        let mut failed = None;
        let ended = async {
            tokio::select! {
                () = asked.stop() => say("stopping: requests that are under way are finished first"),
                task = self.beside.failed() => {
                    say(&format!("stopping: {task}"));
                    failed = Some(task);
                }
            }
        };
        assent_server::serve(service, listener, ended).await.context("the service ended")?;
        failed.map_or(Ok(()), |failed| Err(failed.into()))
    }

    /// Ends what runs; what went wrong. No request is under way any more, for [`assent_server::serve`] waits.
    ///
    /// 1. What runs beside ends, so that nothing writes into a log that is being closed; and it is noted how far the
    ///    state follows the logs.
    /// 2. Each log takes that the service stopped, and is closed with a last checkpoint.
    /// 3. Witnesses are shown that checkpoint, and exporters deliver up to it: at once, and for some seconds.
    ///
    /// A kill in between leaves logs as any crash does: the next start recovers them, and shows and delivers the rest.
    async fn stop(self) -> Vec<anyhow::Error> {
        let Self { clock, log, states, beside, exporters, witnessing, gauges: _ } = self;
        beside.end().await;
        let mut problems = state::close(&states, &*clock).await;
        if let Some(log) = log {
            problems.extend(log::close(&log, clock.now()).await);
        }
        let shown = async {
            if let Some(witnessing) = witnessing {
                witnesses::last(&witnessing).await;
            }
        };
        let delivered = spawn_blocking(move || exporters.iter().for_each(|exporters| exporters.end()));
        let ((), delivered) = tokio::join!(shown, delivered);
        problems.extend(delivered.context("the exporters did not end in order").err());
        problems
    }

    /// Says what is served, and what only seems to be.
    fn announce(&self, address: SocketAddr, plan: &Plan) {
        for organization in &plan.built.organizations {
            let (id, digest) = (organization.release.organization(), organization.release.digest());
            say(&format!("serving `{id}` at http://{address}/{id}/access/v1/evaluation (release {digest})"));
        }
        if let Some(instant) = plan.stopped_clock {
            say(&format!("the clock stands still at {instant}: for demonstrations only, nothing expires"));
        }
        if self.log.is_none() {
            say("the audit log is in memory: records are lost when the process ends; `[audit]` keeps one");
        }
        for exporter in self.exporters.iter().flat_map(|exporters| exporters.described()) {
            say(&format!("exporter `{}` sends {} to {}", exporter.id, exporter.format.as_str(), exporter.to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_an_end_is_said_with_its_causes() {
        let disk = || anyhow!("no space left").context("the audit log could not be closed");
        assert!(together(vec![]).is_ok());
        assert_eq!(
            format!("{:#}", together(vec![disk()]).unwrap_err()),
            "the audit log could not be closed: no space left"
        );
        assert_eq!(
            together(vec![disk(), anyhow!("`copies` failed")]).unwrap_err().to_string(),
            "the audit log could not be closed: no space left; `copies` failed"
        );
    }
}
