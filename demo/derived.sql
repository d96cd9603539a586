-- What the pipelines must make of the topics: from the tables <data set>_rows, which hold the views of expected.sql.
CREATE VIEW flight_status AS
SELECT
    f.line, f.place, f."key",
    CASE WHEN 60.0 * distance_mi / air_time_min > 2 * cruising_speed_mph THEN 'aircraft' END AS reason,
    carrier, flight_number, f.tail_number, origin, destination, scheduled_departure_at, departed_at, arrived_at,
    departure_delay_min - arrival_delay_min AS made_up_min, manufacturer, model, seats, a.name AS airline
FROM flights_rows AS f LEFT JOIN planes_rows AS p ON p."key" = f."key" AND p.reason IS NULL
LEFT JOIN airlines_rows AS a USING (carrier)
WHERE f.reason IS NULL AND NOT cancelled;

CREATE VIEW cancelled_flights AS FROM flights_rows WHERE reason IS NULL AND cancelled;

-- The last arrival before each departure, in the published order of the aircraft's flights.
CREATE VIEW aircraft_rotations AS
WITH flown AS (
    FROM flights_rows WHERE reason IS NULL AND NOT cancelled AND tail_number IS NOT NULL
), linked AS (
    SELECT
        *,
        last_value(CASE WHEN arrived_at IS NOT NULL THEN
            {'place': destination, 'at': arrived_at, 'delay': arrival_delay_min}
        END IGNORE NULLS) OVER (
            PARTITION BY tail_number ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before
    FROM flown
), known AS (
    SELECT * EXCLUDE (before), CASE WHEN before['at'] <= departed_at THEN before END AS before FROM linked
)
SELECT
    line, place, "key", NULL AS reason,
    tail_number, carrier, flight_number, origin, scheduled_departure_at, departed_at, departure_delay_min,
    before['place'] AS previous_destination, before['at'] AS previous_arrived_at,
    before['delay'] AS previous_arrival_delay_min,
    CASE WHEN scheduled_departure_at - before['at'] < 24 * 3600 * 1000
        THEN greatest(0, least(departure_delay_min, coalesce(before['delay'], 0)))
        ELSE 0
    END::INT AS inherited_delay_min
FROM known;
