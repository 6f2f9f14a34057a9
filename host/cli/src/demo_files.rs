//! The files of the demo: secrets that are all made up, and a key that everybody may know.
//!
//! `xtask` takes this file in by its path, as it does with the demo's application.

/// The legacy files by path. Every value has `made-up` in it and nothing else has.
pub(crate) const LEGACY: [(&str, &str); 4] = [
    (
        "payments/api.env",
        "# the payments API\nDB_PASSWORD='made-up 7Jq2 vTz9 correct horse'\nSTRIPE_KEY=made-up-51Hx0aQeR8uYw3Kd\nJWT_SECRET=made-up-c2VjcmV0LXNpZ25pbmcta2V5\n",
    ),
    ("payments/worker.env", "QUEUE_URL=amqp://worker:made-up-Zk4r8sLmQ1@queue.internal/jobs\nQUEUE_TOKEN=made-up-0f8e6d2c4b1a9375\n"),
    (
        "web/session.json",
        "{\n  \"cookie_secret\": \"made-up-ab12cd34ef56ab78\",\n  \"csrf_key\": \"made-up-998877665544332211\",\n  \"oauth_client_secret\": \"made-up-GOCSPX-4f6h8j0k\"\n}\n",
    ),
    (
        "mail.env",
        "SMTP_PASSWORD=made-up-mail-3eD4rF5tG6\nDKIM_SEED=made-up-dkim-7yH8uJ9iK0\nIMAP_PASSWORD=made-up-imap-1qA2wS3eD4\nBOUNCE_TOKEN=made-up-bounce-5rT6yU7i\n",
    ),
];

/// An age identity in a public file: good for made-up secrets only.
pub(crate) const IDENTITY: &str = "AGE-SECRET-KEY-18ZNPJMJ3AMAU8XCM9FQ7LR8C4Y6ZDP3XQXW5SK8RQQHQUY9W3E4QXH6RSF\n";
