-- What the re-keyed pipelines must have come to in the end, one row a key: from the table flights_rows, which holds the
-- flights that are possible, with their place in the published order. "records" is how many records the key has in the
-- topic, one for each change; it stands in the records themselves as a running number. Every view ends in the columns of
-- its Avro schema.
CREATE VIEW flown AS FROM flights_rows WHERE NOT cancelled;

CREATE VIEW carrier_totals AS
SELECT
    carrier AS "key", count(*)::INT AS records,
    carrier, count(*)::INT AS flights, count_if(cancelled)::INT AS cancelled,
    coalesce(sum(departure_delay_min), 0)::BIGINT AS total_delay_min, avg(departure_delay_min) AS mean_delay_min,
    max(departure_delay_min) AS max_delay_min
FROM flights_rows
GROUP BY carrier;

CREATE VIEW route_totals AS
SELECT
    origin || '-' || destination AS "key", count(*)::INT AS records,
    origin, destination, count(*)::INT AS flights, count_if(cancelled)::INT AS cancelled,
    coalesce(sum(departure_delay_min), 0)::BIGINT AS total_delay_min, avg(departure_delay_min) AS mean_delay_min,
    max(departure_delay_min) AS max_delay_min
FROM flights_rows
GROUP BY origin, destination;

-- Where each aircraft's flight before this one ended, in the published order, and whether there is a later one.
CREATE VIEW journeys AS
SELECT
    *,
    lag(CASE WHEN arrived_at IS NOT NULL THEN destination END) OVER aircraft AS seen_last,
    row_number() OVER (PARTITION BY tail_number ORDER BY place DESC) = 1 AS is_last
FROM flown WHERE tail_number IS NOT NULL
WINDOW aircraft AS (PARTITION BY tail_number ORDER BY place);

CREATE VIEW airport_balances AS
WITH movements AS (
    SELECT origin AS airport, 1 AS departures, 0 AS arrivals, 0 AS aircraft FROM flown
    UNION ALL SELECT destination, 0, 1, 0 FROM flown WHERE arrived_at IS NOT NULL
    UNION ALL SELECT seen_last, 0, 0, 0 FROM journeys WHERE seen_last IS NOT NULL
), counted AS (
    SELECT airport, count(*)::INT AS movements, sum(arrivals)::INT AS arrivals, sum(departures)::INT AS departures
    FROM movements GROUP BY airport
), standing AS (
    SELECT destination AS airport, count(*)::INT AS aircraft FROM journeys WHERE is_last AND arrived_at IS NOT NULL
    GROUP BY destination
)
SELECT
    airport AS "key", movements AS records,
    airport, movements, arrivals, departures, coalesce(aircraft, 0) AS aircraft_on_the_ground
FROM counted LEFT JOIN standing USING (airport);
