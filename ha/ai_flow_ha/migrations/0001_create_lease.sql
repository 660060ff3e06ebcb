-- SPDX-License-Identifier: Apache-2.0

-- up
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    term INTEGER NOT NULL,
    holder TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_created REAL NOT NULL,
    expires_at_boot_ms INTEGER NOT NULL
) STRICT;

-- down
DROP TABLE lease;
