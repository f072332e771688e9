//! What an organization's release and facts are built from, as the log archives it; and the way back.
//!
//! INVARIANT (what was built is what is archived): the files are those that the loader read, kept since then,
//! and not read again. The way back is the same loader, on files in memory: INVARIANT (no patient on disk), for
//! entities are among them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_audit::archive::{self, About, ArchiveError, File};
use assent_audit::record::ReleaseArchived;
use assent_engine::{Rebuild, RebuildError, Release};
use assent_plugin::{HostConfig, PluginHost};
use assent_policy::LoadErrors;

use super::OrganizationFiles;
use super::build::{BuiltOrganization, build_organization};
use super::config::PluginsConfig;
use super::files::{Files, shown};

/// The archive of an organization's release and facts, in parts.
///
/// # Errors
/// When the files are too large to be archived.
pub fn parts(built: &BuiltOrganization) -> Result<Vec<ReleaseArchived>, ArchiveError> {
    let BuiltOrganization { release, entity_files, sources, .. } = built;
    let about = About {
        organization: release.organization().clone(),
        release: release.digest(),
        facts: release.snapshot().digest(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let texts = sources.texts.iter().chain(entity_files);
    let texts = texts.map(|file| (PathBuf::from(&file.name), file.text.as_bytes()));
    let components = sources.components.iter().map(|file| (file.path.clone(), file.bytes.as_slice()));
    let mut seen = BTreeSet::new();
    let files: Vec<(String, &[u8])> = texts
        .chain(components)
        .map(|(path, bytes)| (name(&sources.root, &path), bytes))
        // Two bindings may share a component.
        .filter(|(name, _)| seen.insert(name.clone()))
        .collect();
    archive::parts(&about, files.iter().map(|(name, bytes)| (name.as_str(), *bytes)))
}

/// A file's name in the archive: its path from the organization's folder, as the loader goes it.
fn name(root: &Path, path: &Path) -> String {
    shown(path.strip_prefix(root).unwrap_or(path))
}

/// Builds releases of what was archived.
#[derive(Debug)]
pub struct Rebuilder {
    host: Arc<PluginHost>,
    slots: u32,
}

impl Rebuilder {
    /// With the plugins of a service.
    pub const fn new(host: Arc<PluginHost>, config: &PluginsConfig) -> Self {
        Self { host, slots: config.slots_per_organization }
    }

    /// With plugins of its own; compiled ones are kept where the deployment says, if that can be written.
    ///
    /// # Errors
    /// When the machine cannot run plugins.
    pub fn alone(root: &Path, config: &PluginsConfig) -> Result<Self, assent_plugin::HostError> {
        let host = |cache| PluginHost::new(HostConfig { slots: config.slots, cache });
        // Whoever replays a copy of a log may not be able, or not want, to write beside it.
        let cache = root.join(&config.cache);
        let cached = if cache.is_dir() { host(Some(cache)).ok() } else { None };
        let host = match cached {
            Some(host) => host,
            None => host(None)?,
        };
        Ok(Self::new(Arc::new(host), config))
    }
}

impl Rebuild for Rebuilder {
    fn rebuild(&self, files: Vec<File>) -> Result<Release, RebuildError> {
        self.organization(files).map(|(_, built)| built.release)
    }
}

impl Rebuilder {
    /// The same with all that the organization's own files say.
    ///
    /// # Errors
    /// As [`Rebuild::rebuild`].
    pub fn organization(
        &self,
        files: Vec<File>,
    ) -> Result<(OrganizationFiles, BuiltOrganization), RebuildError> {
        let said = |errors: &LoadErrors| RebuildError(errors.to_string().replace('\n', "; "));
        let files = Files::archived(files.into_iter().map(|File { name, bytes }| (name, bytes)));
        let read = OrganizationFiles::read(PathBuf::new(), files);
        let organization = read.map_err(|problem| said(&LoadErrors(vec![problem])))?;
        let built =
            build_organization(&organization, &self.host, self.slots).map_err(|errors| said(&errors))?;
        Ok((organization, built))
    }
}
