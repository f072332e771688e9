//! What a record says: versioned, canonical, complete enough to make the decision again.
