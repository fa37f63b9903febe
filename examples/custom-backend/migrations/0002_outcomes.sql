-- What the orders come to. A delivery that is repeated finds its row.
CREATE TABLE outcomes (
  delivery_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, outcome TEXT NOT NULL
);
