//! Written when the guests are there.
