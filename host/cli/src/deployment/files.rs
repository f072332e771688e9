//! Reading files: TOML with positions and suggestions, and folders of sources in a stable order; from disk, or
//! from an archive in memory, by the same rules.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use assent_policy::{LoadProblem, SourceFile};
use serde::de::DeserializeOwned;

use super::places::Places;

/// The largest file of a deployment that is read, in bytes. Entities are the largest; a hundred
/// thousand of them are about 40 MB.
pub const FILE_MAX_BYTES: u64 = 256 << 20;

/// Where the files of an organization are.
pub enum Files {
    /// On disk.
    Disk,
    /// In memory: contents by name, relative to the organization's folder. Nothing is read from disk then, and
    /// nothing written to it. INVARIANT (no patient in logs): `Debug` says how many there are.
    Archived(BTreeMap<PathBuf, Vec<u8>>),
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk => f.write_str("Disk"),
            Self::Archived(files) => write!(f, "Archived({} files)", files.len()),
        }
    }
}

impl Files {
    /// These files in memory.
    pub fn archived(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self::Archived(files.into_iter().map(|(name, bytes)| (plain(Path::new(&name)), bytes)).collect())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, to follow its name: `does not exist`.
    pub fn read_bytes(&self, path: &Path) -> Result<Vec<u8>, String> {
        match self {
            Self::Disk => read_bytes(path),
            Self::Archived(files) => {
                files.get(&plain(path)).cloned().ok_or_else(|| "is not in the archive".to_owned())
            }
        }
    }

    /// Reads a text file.
    ///
    /// # Errors
    /// As [`read_text`].
    pub fn read_text(&self, path: &Path) -> Result<String, LoadProblem> {
        let problem = |message: String| LoadProblem::of_file(&shown(path), message);
        text(self.read_bytes(path).map_err(problem)?, problem)
    }

    /// Adds the files at a path; else what is wrong with it, to follow its name.
    fn collect(&self, path: &Path, ending: &str, found: &mut Vec<PathBuf>) -> Result<(), String> {
        let Self::Archived(files) = self else { return collect(path, ending, 0, found) };
        let path = plain(path);
        if files.contains_key(&path) {
            found.push(path);
            return Ok(());
        }
        let below = files.keys().filter(|name| name.starts_with(&path));
        let before = found.len();
        found.extend(below.filter(|name| name.to_string_lossy().ends_with(ending)).cloned());
        if found.len() == before { Err("is not in the archive".to_owned()) } else { Ok(()) }
    }
}

/// The same path without steps that lead nowhere, which are written or not as it comes.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

/// A path as messages show it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a file.
///
/// # Errors
/// What is wrong with it, to follow its name: `does not exist`.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err("is a folder: expected a file here".to_owned());
    }
    // A pipe or a device might never end.
    if !metadata.is_file() {
        return Err("is not an ordinary file".to_owned());
    }
    if metadata.len() > FILE_MAX_BYTES {
        return Err(format!("is larger than {} MiB", FILE_MAX_BYTES >> 20));
    }
    std::fs::read(path).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by the user who runs `assent`".to_owned(),
        _ => format!("cannot be read ({error})"),
    }
}

/// Reads a text file.
///
/// # Errors
/// When it is missing, too large, or not UTF-8; what to do is in the message.
pub fn read_text(path: &Path) -> Result<String, LoadProblem> {
    let problem = |message: String| LoadProblem::of_file(&shown(path), message);
    text(read_bytes(path).map_err(problem)?, problem)
}

fn text(bytes: Vec<u8>, problem: impl Fn(String) -> LoadProblem) -> Result<String, LoadProblem> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        let (line, column) = position(&before, good);
        LoadProblem { line, column, ..problem("this is not UTF-8 text".to_owned()) }
            .with_help("save the file as UTF-8")
    })?;
    // Some editors begin a file with this mark, which is no part of the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads a TOML file into a value, with the places of its parts.
///
/// # Errors
/// With line and column, and for an unknown key the nearest known one.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<(T, Places), LoadProblem> {
    let text = read_text(path)?;
    let name = shown(path);
    Ok((parse_toml(&name, &text)?, Places::of(&name, &text)))
}

/// Parses TOML text that came from the file of this name.
///
/// # Errors
/// As [`read_toml`].
pub fn parse_toml<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, LoadProblem> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = error.span().map_or((1, 1), |span| position(text, span.start));
        // The reader of numbers is named for another format.
        let message = error.message().trim().replace('\n', "; ").replace("JSON number", "number");
        let help = suggestion(&message).or_else(|| {
            let example = "write an address and a port, such as `127.0.0.1:8180`";
            (message == "invalid socket address syntax").then(|| example.to_owned())
        });
        LoadProblem { file: name.to_owned(), line, column, message, help }
    })
}

/// The line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// For "unknown field `x`, expected one of `a`, `b`": the nearest of them.
fn suggestion(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field ").or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let nearest = nearest(unknown, names)?;
    Some(format!("did you mean `{nearest}`?"))
}

/// The name most like this one, if any is alike.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.7; // below this, suggestions are noise
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The source files with this ending that the list `key` of an organization's file names (files or
/// folders, relative to `root`), sorted by path. Folders are read with their subfolders.
///
/// # Errors
/// For each path that is missing, or names nothing with this ending.
pub fn sources(
    (files, root): (&Files, &Path),
    (key, paths): (&str, &[PathBuf]),
    ending: &str,
    places: &Places,
) -> Result<Vec<SourceFile>, Vec<LoadProblem>> {
    let mut found = vec![];
    let mut problems = vec![];
    for (index, path) in paths.iter().enumerate() {
        let path = root.join(path);
        let before = found.len();
        let outcome = match files.collect(&path, ending, &mut found) {
            Ok(()) if found.len() == before => Err(format!("holds no file that ends in `{ending}`")),
            outcome => outcome,
        };
        if let Err(what) = outcome {
            let message = format!("`{key}` names `{}`, which {what}", shown(&path));
            problems.push(places.problem(&format!("/{key}/{index}"), message));
        }
    }
    found.sort();
    found.dedup();
    let mut sources = vec![];
    for path in found {
        match files.read_text(&path) {
            Ok(text) => sources.push(SourceFile { name: shown(&path), text }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// How deep folders may be nested. Deeper is a mistake, or a loop of links.
const FOLDERS_MAX: usize = 8;

/// Adds the files at a path; else what is wrong with it, to follow its name.
fn collect(path: &Path, ending: &str, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if depth > FOLDERS_MAX {
        return Err(format!("holds folders nested more than {FOLDERS_MAX} deep"));
    }
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(|error| unreadable(&error))? {
        let entry = entry.map_err(|error| unreadable(&error))?.path();
        if entry.is_dir() {
            collect(&entry, ending, depth + 1, found)?;
        } else if entry.to_string_lossy().ends_with(ending) {
            found.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its keys matter here")]
    struct Sample {
        listen: String,
        organizations: Vec<String>,
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_and_suggestion() {
        let problem =
            parse_toml::<Sample>("assent.toml", "listen = \"x\"\norganisations = []\n").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 1));
        assert!(problem.message.contains("organisations"), "{problem:?}");
        assert_eq!(problem.help.as_deref(), Some("did you mean `organizations`?"));
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place() {
        let problem = parse_toml::<Sample>("assent.toml", "listen = 3\norganizations = []").unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 10));
    }
}
