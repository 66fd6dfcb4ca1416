//! What waits where.
