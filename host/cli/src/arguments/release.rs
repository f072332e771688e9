//! `assent release …` as it is typed.

use std::io::Write;

use assent_cli::commands::audit::record::Said;
use assent_cli::commands::release;
use clap::Subcommand;

use super::keeping::Whose;

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Propose that the guarded parts of these files take over; somebody else must approve that.
    Propose {
        #[command(flatten)]
        whose: Whose,
        /// Who types this.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Approve what somebody else proposed, by its id: the next start takes it over.
    Approve {
        #[command(flatten)]
        whose: Whose,
        /// The request, as `propose` and `show` tell it.
        #[arg(long, value_name = "REQUEST")]
        request: String,
        /// Who types this.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Print what is in force, what differs from it in these files, and who proposed and approved what.
    Show {
        #[command(flatten)]
        whose: Whose,
    },
}

impl Release {
    pub(crate) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Propose { whose, by, reason } => {
                let said = Said { by: &by, reason: &reason };
                release::propose(&whose.dir, whose.organization.as_deref(), said, out)
            }
            Self::Approve { whose, request, by } => {
                release::approve(&whose.dir, whose.organization.as_deref(), &request, &by, out)
            }
            Self::Show { whose } => release::show(&whose.dir, whose.organization.as_deref(), out),
        }
    }
}
