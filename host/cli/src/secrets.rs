//! Secrets that `assent.toml` names and never holds: in a file that only its owner can read, or in a variable of the
//! environment.
//!
//! INVARIANT (no secret in an error): what should be a reference and is none may be the secret itself, so it is not
//! shown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use zeroize::Zeroizing;

use crate::deployment::files;

/// The longest secret. JSON web tokens have a few kilobytes; age identities and keys less.
const SECRET_BYTES_MAX: usize = 16 << 10;

/// What a reference stands for: `file:PATH`, relative to the deployment, or `env:NAME`. Without blanks around it.
///
/// # Errors
/// When it is no reference, or what it names is missing, exposed, too long, or no text.
pub(crate) fn named(root: &Path, reference: &str) -> anyhow::Result<Zeroizing<String>> {
    let text = if let Some(path) = reference.strip_prefix("file:") {
        in_file(&root.join(path))?
    } else if let Some(name) = reference.strip_prefix("env:") {
        environment(name).with_context(|| format!("the environment variable `{name}` is not set"))?
    } else {
        bail!("expected `file:PATH` or, for development, `env:NAME`, never the value");
    };
    ensure!(text.len() <= SECRET_BYTES_MAX, "it is longer than {SECRET_BYTES_MAX} bytes");
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// The text of a file that nobody but its owner can read.
///
/// # Errors
/// When it is missing, exposed, or no text.
pub(crate) fn in_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let shown = files::shown(path);
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        bail!("{shown} can be read by others than its owner: `chmod 400 {shown}`");
    }
    let bytes = Zeroizing::new(files::read_bytes(path).map_err(|what| anyhow!("{shown} {what}"))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| anyhow!("{shown} is not text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The value of a variable that `assent.toml` names.
#[expect(clippy::disallowed_methods, reason = "a secret can be in a variable that assent.toml names")]
pub(crate) fn environment(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_no_reference_is_refused_and_not_shown() {
        let error = named(Path::new("/"), "hunter2").unwrap_err();
        assert!(!format!("{error:#}{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_secret_is_text_of_its_owner_alone_and_not_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |bytes: &[u8], mode| {
            std::fs::write(&file, bytes).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            named(folder.path(), "file:secret").map_err(|error| error.to_string())
        };
        assert_eq!(read(b" hunter2\n", 0o600).unwrap().as_str(), "hunter2");
        assert!(read(b"hunter2", 0o640).unwrap_err().contains("chmod 400"));
        assert!(read(b"\xff\xfe", 0o600).unwrap_err().contains("is not text"));
        assert!(read(&[b'x'; SECRET_BYTES_MAX], 0o600).is_ok());
        assert!(read(&[b'x'; SECRET_BYTES_MAX + 1], 0o600).unwrap_err().contains("longer than"));
        let absent = named(folder.path(), "file:absent").unwrap_err().to_string();
        assert!(absent.ends_with("absent does not exist"), "{absent}");
    }
}
