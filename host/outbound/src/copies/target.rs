//! Where copies go: a folder, or a bucket of a server that speaks S3, through the one HTTP client.
//!
//! Credentials are given as values by whoever resolved them; they are never part of a message or `Debug`.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::client::{HttpClient, HttpConnector};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use zeroize::Zeroizing;

use super::CopyError;
use crate::http::{self, ClientError};

/// A whole segment at 1 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// The region of servers that have none.
const REGION: &str = "us-east-1";

/// Where, and with what.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "holds credentials")]
pub struct Settings {
    /// `file:///folder` or `s3://bucket/prefix`.
    pub to: String,
    /// The server, where it is not that of AWS.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The name of the credentials.
    pub access_key_id: Option<Zeroizing<String>>,
    /// What proves them.
    pub secret_access_key: Option<Zeroizing<String>>,
    /// Certificates that vouch for the server, in PEM; none: those that the system trusts.
    pub authorities: Option<PathBuf>,
}

/// Why nothing can be copied there.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no place.
    #[error("`{to}`: expected `file:///folder` or `s3://bucket/prefix`")]
    Malformed {
        /// As configured.
        to: String,
    },
    /// A folder that is not there. It is not made, for it may be one that should have been mounted.
    #[error("{} is not there, or is no folder: it must be made beforehand, or mounted", path.display())]
    NoFolder {
        /// Which.
        path: PathBuf,
    },
    /// A setting that only a bucket has.
    #[error("`{setting}` is for `s3://…`; a folder has none")]
    NotForFolders {
        /// Which.
        setting: &'static str,
    },
    /// A setting that a bucket needs.
    #[error("`{setting}` is missing: `s3://…` needs it, as `file:PATH` or `env:NAME`")]
    Missing {
        /// Which.
        setting: &'static str,
    },
    /// The server's address, or the file of certificates.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The store refuses the settings.
    #[error("the place cannot be used")]
    Store(#[source] Box<Error>),
}

/// The place where copies go.
#[derive(Clone, Debug)]
pub struct Target {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
}

/// Gives every request to our own client.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Settings {
    /// The folder, where it is one.
    ///
    /// # Errors
    /// When `to` names neither folder nor bucket.
    pub fn folder(&self) -> Result<Option<PathBuf>, TargetError> {
        if let Some(path) = self.to.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            return Ok(Some(PathBuf::from(path)));
        }
        self.bucket().map(|_| None)
    }

    fn bucket(&self) -> Result<(&str, &str), TargetError> {
        let malformed = || TargetError::Malformed { to: http::shown(&self.to) };
        let place = self.to.strip_prefix("s3://").ok_or_else(malformed)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() || place.contains(['?', '#', '@']) {
            Err(malformed())
        } else {
            Ok((bucket, prefix))
        }
    }
}

impl Target {
    /// The place that these settings describe. Nothing is sent yet.
    ///
    /// # Errors
    /// When they describe none.
    pub fn new(settings: &Settings) -> Result<Self, TargetError> {
        match settings.folder()? {
            Some(path) => Self::in_folder(settings, &path),
            None => Self::in_bucket(settings),
        }
    }

    fn in_folder(settings: &Settings, path: &FilePath) -> Result<Self, TargetError> {
        for (setting, given) in [
            ("endpoint", settings.endpoint.is_some()),
            ("region", settings.region.is_some()),
            ("access_key_id", settings.access_key_id.is_some()),
            ("secret_access_key", settings.secret_access_key.is_some()),
            ("authorities", settings.authorities.is_some()),
        ] {
            if given {
                return Err(TargetError::NotForFolders { setting });
            }
        }
        if !path.is_dir() {
            return Err(TargetError::NoFolder { path: path.to_owned() });
        }
        let store =
            LocalFileSystem::new_with_prefix(path).map_err(|error| TargetError::Store(Box::new(error)))?;
        let store = Arc::new(store.with_fsync(true));
        Ok(Self { store, prefix: Path::default(), shown: settings.to.trim_end_matches('/').to_owned() })
    }

    fn in_bucket(settings: &Settings) -> Result<Self, TargetError> {
        let (bucket, prefix) = settings.bucket()?;
        let needed = |setting, value: &Option<Zeroizing<String>>| {
            value.as_ref().map(|value| value.to_string()).ok_or(TargetError::Missing { setting })
        };
        let client = http::client_for(settings.authorities.as_deref(), REQUEST_TIMEOUT)?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(settings.region.as_deref().unwrap_or(REGION))
            .with_virtual_hosted_style_request(false)
            .with_access_key_id(needed("access_key_id", &settings.access_key_id)?)
            .with_secret_access_key(needed("secret_access_key", &settings.secret_access_key)?)
            // Buckets that lock objects ask for one.
            .with_checksum_algorithm(Checksum::SHA256)
            // A failed round is tried again as a whole.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_http_connector(Connector(client));
        if let Some(endpoint) = &settings.endpoint {
            let url = http::address(endpoint)?;
            builder =
                builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(url.scheme() == "http");
        }
        let store = Arc::new(builder.build().map_err(|error| TargetError::Store(Box::new(error)))?);
        Ok(Self { store, prefix: Path::from(prefix), shown: settings.to.trim_end_matches('/').to_owned() })
    }

    /// An object in words.
    pub(super) fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.shown)
    }

    fn path(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |above, part| above.join(part))
    }

    fn failed(&self, error: &Error) -> CopyError {
        CopyError::of_store(self.shown.clone(), error)
    }

    /// The objects below a path (relative to it), and their sizes.
    pub(super) async fn list(&self, below: &str) -> Result<Vec<(String, u64)>, CopyError> {
        let above = self.path(below);
        let found = self.store.list(Some(&above)).try_collect::<Vec<_>>().await;
        let found = found.map_err(|error| self.failed(&error))?;
        let relative = |path: &Path| {
            let parts: Vec<_> = path.prefix_match(&above)?.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        Ok(found.iter().filter_map(|object| Some((relative(&object.location)?, object.size))).collect())
    }

    /// An object's content, if it is there and at most `max` bytes long; longer ones come cut.
    pub(super) async fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, CopyError> {
        let found = match self.store.get_opts(&self.path(path), GetOptions::default()).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            other => other.map_err(|error| self.failed(&error))?,
        };
        let (mut bytes, mut stream) = (vec![], found.into_stream());
        while let Some(chunk) = stream.try_next().await.map_err(|error| self.failed(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > max {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// Writes an object that is not there yet; `false` if there is one, which stays as it is.
    pub(super) async fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool, CopyError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(path), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Writes an object, over an older one.
    pub(super) async fn replace(&self, path: &str, bytes: Vec<u8>) -> Result<(), CopyError> {
        self.store
            .put(&self.path(path), PutPayload::from(bytes))
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(())
    }
}
