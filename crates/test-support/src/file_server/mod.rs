//! A file server that misbehaves on order.
