//! What a service needs and can be refused for, looked at before anything runs or is recorded: so a start that cannot
//! succeed leaves no trace in a log, however often a supervisor tries it again.

use std::net::SocketAddr;

use anyhow::Context;
use assent_audit::logs::LogsConfig;
use assent_outbound::copies::Copies;
use assent_outbound::export::Prepared;
use assent_outbound::witness::Witness;
use assent_server::Callers;
use tokio::net::{TcpListener, TcpSocket};

use crate::commands::{NOT_LOADED, listed};
use crate::deployment::Deployment;
use crate::{audit_copies, audit_keys, exporters, witnesses};

/// Connections that the kernel keeps while all places are taken; it may have a smaller limit of its own.
const BACKLOG: u32 = 1024;

/// Everything that is ready.
pub(super) struct Ready {
    /// The durable logs, with their keys; `None` where the log is in memory.
    pub(super) logs: Option<LogsConfig>,
    pub(super) callers: Callers,
    pub(super) address: Address,
    pub(super) beside: ReadyBeside,
}

/// What is to run beside the service and its log.
pub(super) struct ReadyBeside {
    pub(super) exporters: Vec<Prepared>,
    pub(super) copies: Option<Copies>,
    pub(super) witnesses: Vec<Witness>,
}

impl Ready {
    /// Looks at everything. Needs the runtime.
    ///
    /// # Errors
    /// What is missing, exposed, malformed, or taken by somebody else.
    pub(super) fn look(deployment: &Deployment, address: SocketAddr) -> anyhow::Result<Self> {
        let exporters =
            exporters::prepare(deployment).map_err(|errors| anyhow::anyhow!(listed(&errors, NOT_LOADED)))?;
        let logs = audit_keys::load(deployment)?;
        let copies = logs.as_ref().map(|config| audit_copies::load(deployment, config)).transpose()?;
        Ok(Self {
            logs,
            callers: super::callers(deployment)?,
            address: Address::take(address)?,
            beside: ReadyBeside {
                exporters,
                copies: copies.flatten(),
                witnesses: witnesses::load(deployment)?,
            },
        })
    }
}

/// An address that is this process's, and that nobody can connect to yet.
#[derive(Debug)]
pub(super) struct Address {
    address: SocketAddr,
    socket: TcpSocket,
}

impl Address {
    fn take(address: SocketAddr) -> anyhow::Result<Self> {
        let take = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // Or a service could not be started again for a minute after it had connections.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = take().with_context(|| cannot(address))?;
        Ok(Self { address, socket })
    }

    /// Lets callers connect.
    ///
    /// # Errors
    /// When somebody else has begun to listen there meanwhile.
    pub(super) fn listen(self) -> anyhow::Result<TcpListener> {
        self.socket.listen(BACKLOG).with_context(|| cannot(self.address))
    }
}

fn cannot(address: SocketAddr) -> String {
    format!("`{address}` cannot be listened on")
}
