//! What a path of the audit log names: one record, a year's log, a tile. Each has one spelling.

use std::str::FromStr;

use assent_audit::shelf::{Place, Shelf, ShelfError, decoded};
use assent_audit::tlog::tile::{Content, TILE_WIDTH, Tile};
use axum::http::Uri;
use serde_json::{Value, json};

use super::{LookedUp, query};
use crate::http::refusal::Refusal;

/// One record, by the id of its decision or by its place.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Place(Place),
    Decision(String),
}

/// Bits of a decision's id, as hexadecimal digits.
const ID_DIGITS: usize = 32;

impl FromStr for Wanted {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let is_id = text.len() == ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match text.parse() {
            Ok(place) => Ok(Self::Place(place)),
            Err(_) if is_id => Ok(Self::Decision(text.to_owned())),
            Err(_) => Err(Refusal::RecordId),
        }
    }
}

/// What the path names. There are no parameters beside it.
pub(super) fn wanted(uri: &Uri) -> Result<Wanted, Refusal> {
    query::none(uri)?;
    uri.path().rsplit('/').next().unwrap_or_default().parse()
}

/// What the path names before its last step.
pub(super) fn named_before_the_last(uri: &Uri) -> Result<Wanted, Refusal> {
    query::none(uri)?;
    uri.path().rsplit('/').nth(1).unwrap_or_default().parse()
}

/// The year in the path of a request about one log, `/{organization}/audit/v1/log/{year}/…`, and what follows it.
pub(super) fn year(uri: &Uri) -> Result<(i32, &str), Refusal> {
    // Counted, for an organization may be called `log`.
    let mut steps = uri.path().splitn(7, '/').skip(5);
    let (year, rest) = steps.next().zip(steps.next()).ok_or(Refusal::NotFound)?;
    let digits = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let year = year.parse().ok().filter(|_| digits).ok_or(Refusal::NotFound)?;
    Ok((year, rest))
}

/// Up to which entry a log must have published for a tile to exist; `None` where no log ever does.
pub(super) fn needed(tile: &Tile) -> Option<u64> {
    let Content::Hashes { level } = tile.content() else { return None };
    let hashes = tile.index().checked_mul(u64::from(TILE_WIDTH))?.checked_add(u64::from(tile.width()))?;
    let entries = 1_u64.checked_shl(u32::from(level) * 8)?;
    hashes.checked_mul(entries)
}

impl Wanted {
    pub(super) fn as_query(&self, form: &str) -> Value {
        match self {
            Self::Place(place) => json!({ "form": form, "place": place.to_string() }),
            Self::Decision(id) => json!({ "form": form, "id": id }),
        }
    }

    /// Blocks.
    pub(super) fn look_up(&self, shelf: &Shelf) -> Result<Option<LookedUp>, ShelfError> {
        let place = match self {
            Self::Place(place) => Some(*place),
            Self::Decision(id) => shelf.by_id(id)?.map(|(place, _)| place),
        };
        let Some(place) = place else { return Ok(None) };
        let Some(entry) = shelf.entry(place)? else { return Ok(None) };
        let (_, record) = decoded(place.year, &entry)?;
        Ok(Some(LookedUp { place, entry, record }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_of_a_path_is_found_where_it_is_whatever_the_organization_is_called() {
        let read = |path: &str| year(&path.parse().unwrap()).map(|(year, rest)| (year, rest.to_owned())).ok();
        for organization in ["bay", "log"] {
            let tile = read(&format!("/{organization}/audit/v1/log/2026/tile/0/000"));
            assert_eq!(tile, Some((2026, "tile/0/000".to_owned())), "{organization}");
        }
        for none in
            ["/bay/audit/v1/log/2026", "/bay/audit/v1/log/+026/checkpoint", "/log/2026/checkpoint", "/"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
