//! Writing, recovering and reading the log of one organization and year.
