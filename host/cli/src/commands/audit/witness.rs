//! `assent audit witness`: shows each log to each witness once, by hand, and prints what they said.

use std::io::Write;
use std::path::Path;

use assent_outbound::witness::{Log, Said, round};

use super::{Opened, Which, open_of, wait_for};
use crate::witnesses;

/// One round; whether every witness cosigned every log.
///
/// # Errors
/// When the deployment names no witness, or a log cannot be opened.
pub fn witness(root: &Path, which: &Which<'_>, out: &mut dyn Write) -> anyhow::Result<bool> {
    let deployment = crate::commands::read(root)?;
    let Opened { shelf, years, .. } = open_of(&deployment, which)?;
    let witnesses = witnesses::load(&deployment)?;
    anyhow::ensure!(
        !witnesses.is_empty(),
        "{} names no witness: add a table `[[audit.witness]]` with `url` and `key`",
        root.join(crate::deployment::DEPLOYMENT_FILE).display()
    );
    let mut well = true;
    for year in years {
        let log = Log { directory: shelf.directory(year), verifier: shelf.verifier(year)? };
        writeln!(out, "{}", log.verifier.name())?;
        for (witness, said) in wait_for(round(&log, &witnesses))? {
            well &= matches!(said, Said::Cosigned { .. } | Said::Nothing);
            match said {
                Said::Cosigned { tree, .. } => {
                    writeln!(out, "  {witness}: saw {} records, and cosigned", tree.size)?
                }
                Said::Nothing => writeln!(out, "  {witness}: not asked, there is no record yet")?,
                Said::Refused(refused) => writeln!(out, "  {witness}: did not cosign: {refused}")?,
                Said::Contradicted(how) => writeln!(
                    out,
                    "  {witness}: ALARM: {how}\n    keep the log as it is and find out who changed it; the \
                     witness's memory is the proof, so its operator should keep that too"
                )?,
            }
        }
    }
    Ok(well)
}
