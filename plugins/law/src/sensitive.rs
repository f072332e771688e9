//! Categories that are sensitive at any age: what each jurisdiction asks for before release.
