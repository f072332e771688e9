//! What the service is made of: releases, callers, recorder, limits, clock, ids.
//!
//! Everything here is immutable but the release of an organization, which is swapped whole:
//! INVARIANT (one release per decision) holds because a request loads it once and keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use assent_engine::state::LiveState;
use assent_engine::{AuditRecorder, Rebuild, Recorder, Release};
use assent_model::OrganizationId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::callers::Callers;
use crate::clock::{Clock, Ids, Onward};
use crate::http::{Archive, Lane, NO_ROUTE, ROUTES, RequestLog, TurnedAway};
use crate::limits::{LimitError, Limits};
use crate::metrics::{Decisions, Durations, Gauges};

/// The parts that a service is built of.
#[derive(Debug)]
pub struct ServiceParts {
    /// One release for each organization.
    pub releases: Vec<Release>,
    /// The state of those organizations that keep one; their release is then the one on that state.
    pub states: BTreeMap<OrganizationId, Arc<LiveState>>,
    /// Who may ask.
    pub callers: Callers,
    /// Where decisions are recorded before they are answered.
    pub recorder: Arc<dyn Recorder>,
    /// The durable log, for those who may read it; `None` where records are kept in memory.
    pub audit: Option<AuditRecorder>,
    /// Builds releases of what the log archived, for those who have decisions made again; `None` where only
    /// those of the present release can be.
    pub rebuild: Option<Arc<dyn Rebuild>>,
    /// Limits on what peers send and on how long things take.
    pub limits: Limits,
    /// The `https` address under which callers reach the service, such as
    /// `https://pdp.example.org`. Without it no metadata is offered.
    pub public_url: Option<String>,
    /// Whether to listen on an address that other machines can reach. The service speaks plain
    /// HTTP: whoever sets this has put something in front that speaks TLS.
    pub allow_remote_peers: bool,
    /// The clock that decisions see; put back, it goes on for them all the same.
    pub clock: Arc<dyn Clock>,
    /// The source of decision ids and request ids.
    pub ids: Arc<dyn Ids>,
    /// Where completed requests are noted.
    pub log: Arc<dyn RequestLog>,
    /// What runs beside the service and has measurements to show.
    pub gauges: Vec<Arc<dyn Gauges>>,
}

/// The decision service, shared by all requests.
#[derive(Debug)]
pub struct Service {
    organization_to_served: BTreeMap<OrganizationId, Served>,
    pub(crate) callers: Callers,
    pub(crate) recorder: Arc<dyn Recorder>,
    /// `None` where records are kept in memory.
    pub(crate) turned_away: Option<TurnedAway>,
    pub(crate) limits: Limits,
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) allow_remote_peers: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) log: Arc<dyn RequestLog>,
    pub(crate) gauges: Vec<Arc<dyn Gauges>>,
    pub(crate) audit: Option<AuditRecorder>,
    /// How long requests took, by route; those that have none under `none`.
    route_to_durations: BTreeMap<&'static str, Durations>,
    /// One permit for each request for decisions under way. The task that decides holds it, so
    /// taking all of them waits for every task: this is how a stopping service joins them.
    pub(crate) in_flight: Arc<Semaphore>,
    draining: AtomicBool,
    panics: AtomicU64,
}

/// An organization that is served, with what it does not share with others.
#[derive(Debug)]
pub(crate) struct Served {
    release: Decides,
    /// One permit for each of its requests under way, so that no organization takes all places of
    /// the service.
    in_flight: Arc<Semaphore>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) decisions: Decisions,
    pub(crate) archive: Option<Archive>,
}

/// Where the release that decides is.
#[derive(Debug)]
enum Decides {
    /// On the facts of its files alone.
    Alone(ArcSwap<Release>),
    /// On the state.
    OnState(Arc<LiveState>),
}

impl Served {
    /// The release that decides now.
    pub(crate) fn release(&self) -> Arc<Release> {
        match &self.release {
            Decides::Alone(release) => release.load_full(),
            Decides::OnState(state) => state.release(),
        }
    }

    /// The state, where one is kept.
    pub(crate) fn state(&self) -> Option<Arc<LiveState>> {
        match &self.release {
            Decides::Alone(_) => None,
            Decides::OnState(state) => Some(Arc::clone(state)),
        }
    }

    /// A place among the organization's requests under way; `None` where all are taken.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.in_flight).try_acquire_owned().ok()
    }
}

/// Why a service could not be built, or a release not be activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Two releases are of one organization.
    #[error("organization `{0}` has two releases: expected one")]
    DuplicateOrganization(OrganizationId),
    /// There is no such organization. Organizations come with the process, not at run time.
    #[error("organization `{0}` is not served")]
    UnknownOrganization(OrganizationId),
    /// Its facts are laid over the state, and cannot be exchanged while it is served.
    #[error("`{0}` keeps a state: start the service again with the new release")]
    OnState(OrganizationId),
    /// The public URL cannot be announced.
    #[error("public URL `{url}`: expected {expected}")]
    PublicUrl {
        /// The URL as configured.
        url: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A limit cannot be used.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl Service {
    /// The service that these parts make.
    ///
    /// # Errors
    /// When an organization has two releases, a limit cannot be used, or the public URL cannot be
    /// announced.
    pub fn new(parts: ServiceParts) -> Result<Self, ServiceError> {
        parts.limits.check()?;
        let mut organization_to_served = BTreeMap::new();
        for release in parts.releases {
            let organization = release.organization().clone();
            if organization_to_served.contains_key(&organization) {
                return Err(ServiceError::DuplicateOrganization(organization));
            }
            let archive = parts
                .audit
                .clone()
                .map(|recorder| Archive::new(recorder, organization.clone(), parts.rebuild.clone()));
            let served = Served {
                archive,
                release: match parts.states.get(&organization) {
                    Some(state) => Decides::OnState(Arc::clone(state)),
                    None => Decides::Alone(ArcSwap::from_pointee(release)),
                },
                in_flight: Arc::new(Semaphore::new(parts.limits.in_flight_per_organization_max)),
                lane: Arc::default(),
                decisions: Decisions::default(),
            };
            organization_to_served.insert(organization, served);
        }
        Ok(Self {
            organization_to_served,
            callers: parts.callers,
            recorder: parts.recorder,
            turned_away: parts.audit.clone().map(TurnedAway::new),
            in_flight: Arc::new(Semaphore::new(parts.limits.in_flight_max)),
            limits: parts.limits,
            public_url: parts.public_url.as_deref().map(PublicUrl::new).transpose()?,
            allow_remote_peers: parts.allow_remote_peers,
            clock: Arc::new(Onward::new(parts.clock)),
            ids: parts.ids,
            log: parts.log,
            gauges: parts.gauges,
            audit: parts.audit,
            route_to_durations: ROUTES
                .iter()
                .map(|route| route.path)
                .chain([NO_ROUTE])
                .map(|path| (path, Durations::default()))
                .collect(),
            draining: AtomicBool::new(false),
            panics: AtomicU64::new(0),
        })
    }

    /// The release that decides for this organization now.
    pub fn release(&self, organization: &OrganizationId) -> Option<Arc<Release>> {
        self.served(organization).map(Served::release)
    }

    pub(crate) fn served(&self, organization: &OrganizationId) -> Option<&Served> {
        self.organization_to_served.get(organization)
    }

    /// Whether all facts are no older than they may be.
    pub(crate) fn is_fresh(&self) -> bool {
        self.organization_to_served.values().filter_map(Served::state).all(|state| state.is_fresh())
    }

    /// Whether any organization keeps a state.
    pub(crate) fn keeps_state(&self) -> bool {
        self.organization_to_served.values().any(|served| served.state().is_some())
    }

    /// All releases, by organization.
    pub fn releases(&self) -> impl Iterator<Item = Arc<Release>> {
        self.organization_to_served.values().map(Served::release)
    }

    /// Puts a release in the place of its organization's present one. Decisions under way finish
    /// with the release that they began with.
    ///
    /// # Errors
    /// When its organization is not served, or keeps a state.
    pub fn activate(&self, release: Release) -> Result<Arc<Release>, ServiceError> {
        let organization = release.organization().clone();
        match self.served(&organization).map(|served| &served.release) {
            Some(Decides::Alone(decides)) => Ok(decides.swap(Arc::new(release))),
            Some(Decides::OnState(_)) => Err(ServiceError::OnState(organization)),
            None => Err(ServiceError::UnknownOrganization(organization)),
        }
    }

    /// Notes how long a request took on this route.
    pub(crate) fn note_duration(&self, route: &str, duration: std::time::Duration) {
        if let Some(durations) = self.route_to_durations.get(route) {
            durations.note(duration);
        }
    }

    /// How long requests took, by route.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (&str, &Durations)> {
        self.route_to_durations.iter().map(|(route, durations)| (*route, durations))
    }

    /// The decisions made, by organization.
    pub(crate) fn decisions(&self) -> impl Iterator<Item = (&OrganizationId, &Decisions)> {
        self.organization_to_served.iter().map(|(organization, served)| (organization, &served.decisions))
    }

    /// How many requests for decisions are under way.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.limits.in_flight_max.saturating_sub(self.in_flight.available_permits())
    }

    /// How many requests have ended in a panic. Each is a bug.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the service is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// Whether a URL can be announced as the service's own.
///
/// # Errors
/// What it should be.
pub fn check_public_url(url: &str) -> Result<(), ServiceError> {
    PublicUrl::new(url).map(drop)
}

/// An `https` URL without query, fragment, credentials or trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    fn new(url: &str) -> Result<Self, ServiceError> {
        let refuse = |expected| ServiceError::PublicUrl { url: url.to_owned(), expected };
        let uri: axum::http::Uri = url.parse().map_err(|_| refuse("an absolute URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(refuse("an `https` URL (AuthZEN 1.0, section 9.1.1)"));
        }
        // The parser drops fragments without a word.
        if uri.query().is_some() || url.contains(['?', '#']) {
            return Err(refuse("a URL without query or fragment (AuthZEN 1.0, section 9.1.1)"));
        }
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(refuse("a URL with a host and without credentials"));
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_announced_is_a_public_url() {
        for (url, expected) in [
            ("https://pdp.example.org", Some("https://pdp.example.org")),
            ("https://pdp.example.org/", Some("https://pdp.example.org")),
            ("https://pdp.example.org:8443/authz", Some("https://pdp.example.org:8443/authz")),
            ("http://pdp.example.org", None),
            ("https://pdp.example.org?x=1", None),
            ("https://pdp.example.org?", None),
            ("https://pdp.example.org/#a", None),
            ("https://user@pdp.example.org", None),
            ("pdp.example.org", None),
            ("", None),
        ] {
            assert_eq!(PublicUrl::new(url).ok().as_ref().map(PublicUrl::as_str), expected, "{url}");
        }
    }
}
