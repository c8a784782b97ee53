//! HTTPS with certificates that are trusted, and that are not.
