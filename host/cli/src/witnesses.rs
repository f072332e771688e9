//! The witnesses that `assent.toml` names, ready to be asked.

use anyhow::Context;
use assent_outbound::witness::Witness;

use crate::deployment::Deployment;

/// The witnesses of a deployment; none where it names none.
///
/// # Errors
/// When one cannot be used: its certificates cannot be read, say.
pub fn load(deployment: &Deployment) -> anyhow::Result<Vec<Witness>> {
    let audit = deployment.config.audit.as_ref();
    audit
        .map_or(&[][..], |audit| &audit.witnesses)
        .iter()
        .map(|config| {
            let authorities = config.authorities.as_ref().map(|path| deployment.root.join(path));
            Witness::new(&config.url, &config.key, authorities.as_deref())
                .with_context(|| format!("audit.witness: {}", config.url))
        })
        .collect()
}
