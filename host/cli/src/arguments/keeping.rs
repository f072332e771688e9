//! `assent audit copy`, `expire`, `give-up` and `hold` as they are typed.

use std::io::Write;
use std::path::PathBuf;

use assent_cli::commands::audit::record::Said;
use assent_cli::commands::audit::{Which, expire, give_up, hold};
use clap::{Args, Subcommand};

/// An organization of a deployment.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The deployment directory (holds `assent.toml`).
    pub(super) dir: PathBuf,
    /// The organization; may be left out where there is only one.
    #[arg(long, short)]
    pub(super) organization: Option<String>,
}

impl Whose {
    fn which(&self) -> Which<'_> {
        Which { organization: self.organization.as_deref(), year: None }
    }
}

/// Nothing more: list. `--year`: ask. `--confirm`: agree.
#[derive(Debug, Args)]
pub(crate) struct Expire {
    #[command(flatten)]
    whose: Whose,
    /// Ask that the log of this year be let go; somebody else must confirm it.
    #[arg(long, requires_all = ["by", "reason"])]
    year: Option<i32>,
    /// Also if it does not verify.
    #[arg(long, requires = "year")]
    even_damaged: bool,
    /// Confirm somebody else's request, by its id, and let the year go.
    #[arg(long, value_name = "REQUEST", requires = "by", conflicts_with = "year")]
    confirm: Option<String>,
    /// Who types this.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", requires = "year")]
    reason: Option<String>,
}

impl Expire {
    pub(super) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { whose, year, even_damaged, confirm, by, reason } = self;
        let which = Which { year, ..whose.which() };
        match (&confirm, year, &by, &reason) {
            (Some(request), _, Some(by), _) => expire::confirm(&whose.dir, &which, request, by, out),
            (None, Some(_), Some(by), Some(reason)) => {
                expire::ask(&whose.dir, &which, even_damaged, Said { by, reason }, out)
            }
            _ => expire::list(&whose.dir, whose.organization.as_deref(), out),
        }
    }
}

/// `--after`: ask. `--confirm`: agree.
#[derive(Debug, Args)]
pub(crate) struct GiveUp {
    #[command(flatten)]
    whose: Whose,
    /// Ask that every version after this one, which the database has, be given up; somebody else must confirm it.
    #[arg(long, value_name = "VERSION", requires_all = ["by", "reason"], required_unless_present = "confirm")]
    after: Option<u64>,
    /// Confirm somebody else's request, by its id.
    #[arg(long, value_name = "REQUEST", requires = "by", conflicts_with = "after")]
    confirm: Option<String>,
    /// Who types this.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT", requires = "after")]
    reason: Option<String>,
}

impl GiveUp {
    pub(super) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Self { whose, after, confirm, by, reason } = self;
        let said = Said { by: &by, reason: reason.as_deref().unwrap_or_default() };
        match (confirm, after) {
            (Some(request), _) => give_up::confirm(&whose.dir, &whose.which(), &request, &by, out),
            (None, after) => give_up::ask(&whose.dir, &whose.which(), after.unwrap_or_default(), said, out),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Hold years, whatever their age, until two persons release them.
    Place {
        #[command(flatten)]
        whose: Whose,
        /// A name for the hold, such as a case number.
        #[arg(long)]
        id: String,
        /// The years, as `2019,2020`; left out: all, also those to come.
        #[arg(long, value_delimiter = ',')]
        years: Vec<i32>,
        /// Who types this.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Ask that a hold end, with `--id` and `--reason`; or confirm that somebody else asked, with `--confirm`.
    Release {
        #[command(flatten)]
        whose: Whose,
        /// The hold.
        #[arg(long, required_unless_present = "confirm", requires = "reason")]
        id: Option<String>,
        /// Somebody else's request, by its id.
        #[arg(long, value_name = "REQUEST", conflicts_with_all = ["id", "reason"])]
        confirm: Option<String>,
        /// Who types this.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Print what is held, what was, and what waits for a second person.
    List {
        #[command(flatten)]
        whose: Whose,
    },
}

impl Hold {
    pub(super) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Place { whose, id, years, by, reason } => {
                let said = Said { by: &by, reason: &reason };
                hold::place(&whose.dir, &whose.which(), &id, &years, said, out)
            }
            Self::Release { whose, confirm: Some(request), by, .. } => {
                hold::confirm_release(&whose.dir, &whose.which(), &request, &by, out)
            }
            Self::Release { whose, id, confirm: None, by, reason } => {
                let (id, reason) = (id.unwrap_or_default(), reason.unwrap_or_default());
                let said = Said { by: &by, reason: &reason };
                hold::ask_release(&whose.dir, &whose.which(), &id, said, out)
            }
            Self::List { whose } => hold::list(&whose.dir, &whose.which(), out),
        }
    }
}
