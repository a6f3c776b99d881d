"""More of the tree's nodes are kept: level 4, and each from 8 on, so that a proof is little to read and to hash.

They are made from what is stored: level 4 from the runs, what lies above level 8 from level 8. Where a log was tampered
with, verification still names the place.

A process of the release before writes none of level 4. From here on it seals nothing: one more checkpoint of its making,
and the stored tree would have holes for ever.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _root(first: int, count: int) -> str:
    """Return the SQL of the hash over `count` hashes, a power of two, from the `first` of array `h` on."""
    if count == 1:
        return f"h[{first}]"
    half = count // 2
    return f"sha256('\\x01'::bytea || {_root(first, half)} || {_root(first + half, half)})"


# A run's hashes are taken out of it once: a slice of what lies outside the row is a look-up of its own. What is sorted must
# be the slices: without the outer OFFSET the plan sorts, a leaf, all the hashes of its run, and fills the disk.
NODES_OF_LEVEL_4 = f"""
INSERT INTO tree_node (level, index, hash)
SELECT 4, index, {_root(1, 16)} FROM (
    SELECT place / 16 AS index, array_agg(hash ORDER BY place) AS h FROM (
        SELECT start + k AS place, substring(whole FROM 32 * k + 1 FOR 32) AS hash
        FROM (SELECT start, hashes || ''::bytea AS whole FROM sealed_run OFFSET 0) AS run
        CROSS JOIN LATERAL generate_series(0, octet_length(whole) / 32 - 1) AS k
        OFFSET 0
    ) AS leaf
    GROUP BY place / 16 HAVING count(*) = 16
) AS sixteen
"""

NODES_ABOVE_LEVEL_8 = """
WITH RECURSIVE nodes(level, index, hash) AS (
    SELECT 8, index, hash FROM tree_node WHERE level = 8
    UNION ALL
    SELECT level + 1, index / 2, parent FROM (
        SELECT level, index, sha256('\\x01'::bytea || hash || lead(hash) OVER (ORDER BY index)) AS parent,
            lead(index) OVER (ORDER BY index) = index + 1 AS complete
        FROM nodes
    ) AS pairs
    WHERE index % 2 = 0 AND complete
)
INSERT INTO tree_node (level, index, hash) SELECT level, index, hash FROM nodes WHERE level > 8
ON CONFLICT (level, index) DO NOTHING
"""

REFUSE = """
CREATE FUNCTION arbiter_refuse_holes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size >= 16 AND NOT EXISTS (SELECT FROM tree_node WHERE level = 4 AND index = NEW.size / 16 - 1) THEN
        RAISE EXCEPTION 'nodes under the checkpoint of % entries are missing: restart this process with the present release',
            NEW.size USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '10s'")
    # In the order of whoever seals.
    op.execute("LOCK TABLE tree_node, checkpoint IN SHARE ROW EXCLUSIVE MODE")
    op.execute(NODES_OF_LEVEL_4)
    op.execute(NODES_ABOVE_LEVEL_8)
    op.execute(REFUSE)
    op.execute(
        "CREATE TRIGGER no_holes BEFORE INSERT ON checkpoint FOR EACH ROW EXECUTE FUNCTION arbiter_refuse_holes()"
    )


def downgrade() -> None:
    raise RuntimeError(
        "there is no way back: the log is append-only; restore a backup into a new installation"
    )
