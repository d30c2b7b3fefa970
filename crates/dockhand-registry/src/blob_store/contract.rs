//! What every store has to keep to (being written).
