//! Clients of the services that scripts and recordings write to.
