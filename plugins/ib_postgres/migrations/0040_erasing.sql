-- Sessions that were erased while tables still have to be written anew: a killed erasure is gone on with.
CREATE TABLE ib.erasing (session_key bigint PRIMARY KEY);
