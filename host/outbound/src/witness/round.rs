//! One round for one log: its newest checkpoint to every witness at once, and what they cosigned beside the log.
//!
//! Each cosignature that was had for the same checkpoint goes under it, so that what is kept for one witness
//! also shows who else saw the same. A witness's own order of things is never mixed with another's.

use std::path::PathBuf;

use assent_audit::log::Reader;
use assent_audit::tlog::note::Verifier;
use assent_audit::tlog::witness::attach;
use tokio::task::{JoinSet, spawn_blocking};

use super::Witness;
use super::submit::{Newest, Refused, Said, submit};
use assent_audit::text::in_full;

/// A log that is shown to witnesses.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its directory.
    pub directory: PathBuf,
    /// The key that it is signed with; its name is the log's origin.
    pub verifier: Verifier,
}

/// What each witness said, in the order of the witnesses.
pub type Round = Vec<(String, Said)>;

/// Sends the log's newest checkpoint to each witness, and keeps what is cosigned.
pub async fn round(log: &Log, witnesses: &[Witness]) -> Round {
    let reader = Reader::new(&log.directory, &log.verifier, None);
    let newest = match Newest::read(&reader, &log.verifier).await {
        Ok(Some(newest)) => newest,
        Ok(None) => return all(witnesses, &Said::Nothing),
        Err(refused) => return all(witnesses, &Said::Refused(refused)),
    };
    let mut asked = JoinSet::new();
    for (at, witness) in witnesses.iter().cloned().enumerate() {
        let (reader, log, newest) = (reader.clone(), log.verifier.clone(), newest.clone());
        asked.spawn(async move {
            let thought = thought(&reader, &witness).await;
            (at, submit(&witness, &reader, &log, newest, thought).await)
        });
    }
    let mut said: Vec<Said> = vec![Said::Nothing; witnesses.len()];
    while let Some(answered) = asked.join_next().await {
        // One that panicked has said nothing; the panic is reported where panics are.
        if let Ok((at, answer)) = answered
            && let Some(place) = said.get_mut(at)
        {
            *place = answer;
        }
    }
    let mut round: Round = witnesses.iter().map(|witness| witness.name().to_owned()).zip(said).collect();
    keep(&reader, witnesses, &mut round).await;
    round
}

fn all(witnesses: &[Witness], said: &Said) -> Round {
    witnesses.iter().map(|witness| (witness.name().to_owned(), said.clone())).collect()
}

/// The size that the witness is thought to know: of the checkpoint kept for it. If that is wrong, it says so.
async fn thought(reader: &Reader, witness: &Witness) -> u64 {
    let (reader, verifier) = (reader.clone(), witness.verifier.clone());
    let kept = spawn_blocking(move || reader.witnessed_by(&verifier).ok().flatten()).await;
    kept.ok().flatten().map_or(0, |kept| kept.tree.size)
}

async fn keep(reader: &Reader, witnesses: &[Witness], round: &mut Round) {
    let notes: Vec<Option<String>> = round.iter().map(|(_, said)| note(said).map(str::to_owned)).collect();
    for ((witness, (_, said)), own) in witnesses.iter().zip(round.iter_mut()).zip(&notes) {
        let Some(own) = own else { continue };
        let mut together = own.clone();
        for (other, theirs) in
            witnesses.iter().zip(&notes).filter(|(other, _)| other.name() != witness.name())
        {
            let answer = theirs.as_ref().and_then(|theirs| cosignature(own, theirs, &other.verifier));
            if let Some(answer) = answer {
                together =
                    attach(&together, &answer, std::slice::from_ref(&other.verifier)).unwrap_or(together);
            }
        }
        let (reader, verifier) = (reader.clone(), witness.verifier.clone());
        let kept = spawn_blocking(move || reader.keep_witnessed(&verifier, &together)).await;
        let failed = match kept {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => in_full(&error),
            Err(error) => in_full(&error),
        };
        *said = Said::Refused(Refused::OwnLog(failed));
    }
}

fn note(said: &Said) -> Option<&str> {
    match said {
        Said::Cosigned { note, .. } => Some(note),
        Said::Nothing | Said::Refused(_) | Said::Contradicted(_) => None,
    }
}

/// The cosignature lines of `witness` under `theirs`, if that is the same checkpoint as `own`.
fn cosignature(own: &str, theirs: &str, witness: &Verifier) -> Option<String> {
    let same =
        own.split_once("\n\n").map(|(text, _)| text) == theirs.split_once("\n\n").map(|(text, _)| text);
    let (_, signatures) = theirs.split_once("\n\n").filter(|_| same)?;
    let start = format!("— {} ", witness.name());
    let lines: String = signatures.split_inclusive('\n').filter(|line| line.starts_with(&start)).collect();
    (!lines.is_empty()).then_some(lines)
}
