//! Who may consent alone as a minor, and what the parent may see.
