-- What the topics must hold, computed from the CSV files alone. Every view ends in the columns of its Avro schema, with
-- timestamps in milliseconds; before them "line" is the row's line in the file, "place" its place in the published order
-- (both from 0), "key" the record's key and "reason" why an impossible row has none (docs/reference/impossible-rows.md).

-- What the clocks of a time zone show at each full hour of UTC, and the hour of day therein; by DuckDB's own zone tables.
CREATE TABLE clock AS
SELECT zone, instant, timezone(zone, timezone('UTC', instant)) AS shown, hour(shown) AS shown_hour
FROM
    generate_series(TIMESTAMP '2012-12-25', TIMESTAMP '2014-01-07', INTERVAL 1 HOUR) AS hours (instant),
    (SELECT DISTINCT tzone FROM airports_file WHERE tzone IS NOT NULL UNION SELECT 'America/Puerto_Rico') AS zones (zone);

-- Hours and minutes of a clock time hhmm; 2400 is midnight.
CREATE MACRO hours(hhmm) AS hhmm::INT // 100 % 24;
CREATE MACRO minutes(hhmm) AS hhmm::INT % 100;
CREATE MACRO minute_of_day(hhmm) AS hours(hhmm) * 60 + minutes(hhmm);
CREATE MACRO utc(text) AS text::TIMESTAMP;

CREATE VIEW airlines AS
SELECT line, line AS place, carrier AS "key", NULL AS reason, carrier, name
FROM airlines_file;

CREATE VIEW airports AS
SELECT
    line, line AS place, faa AS "key",
    CASE WHEN lat::DOUBLE NOT BETWEEN -15 AND 72 OR (lon::DOUBLE > -64 AND lon::DOUBLE < 144) THEN 'place' END AS reason,
    faa AS code, name, lat::DOUBLE AS latitude_deg, lon::DOUBLE AS longitude_deg, alt::INT AS altitude_ft,
    tz::INT AS utc_offset_h,
    CASE dst WHEN 'A' THEN 'UNITED_STATES' WHEN 'N' THEN 'NONE' ELSE 'UNKNOWN' END AS daylight_saving,
    tzone AS time_zone
FROM airports_file;

CREATE VIEW planes AS
SELECT
    line, line AS place, tailnum AS "key",
    CASE WHEN engines::INT < 1 OR seats::INT < 1 OR year::INT < 1903 THEN 'aircraft' END AS reason,
    tailnum AS tail_number, year::INT AS built_year,
    replace(upper(type), ' ', '_') AS kind,
    manufacturer, model, engines::INT AS engines,
    replace(replace(replace(upper(engine), '4', 'FOUR'), ' ', '_'), '-', '_') AS engine,
    seats::INT AS seats, speed::INT AS cruising_speed_mph
FROM planes_file;

CREATE VIEW weather AS
SELECT
    line, row_number() OVER (ORDER BY utc(time_hour), origin) - 1 AS place, origin AS "key",
    CASE
        WHEN shown <> make_timestamp(year::INT, month::INT, day::INT, hour::INT, 0, 0)
            THEN 'time_hour'
        WHEN greatest(wind_speed::DOUBLE, wind_gust::DOUBLE) > 253 OR humid::DOUBLE NOT BETWEEN 0 AND 100
            OR temp::DOUBLE NOT BETWEEN -130 AND 135 OR dewp::DOUBLE NOT BETWEEN -130 AND 135
            OR pressure::DOUBLE NOT BETWEEN 850 AND 1090
            THEN 'measurement'
    END AS reason,
    origin, epoch_ms(utc(time_hour)) AS observed_at, temp::DOUBLE AS temperature_f, dewp::DOUBLE AS dew_point_f,
    humid::DOUBLE AS humidity_percent, wind_dir::INT AS wind_direction_deg, wind_speed::DOUBLE AS wind_speed_mph,
    wind_gust::DOUBLE AS wind_gust_mph, precip::DOUBLE AS precipitation_in, pressure::DOUBLE AS pressure_mbar,
    visib::DOUBLE AS visibility_mi
FROM weather_file JOIN clock ON zone = 'America/New_York' AND instant = utc(time_hour);

-- The arrival is found by another way than the producer's: by the clock alone, as the first moment after the departure
-- when the clocks at the destination showed it, without the reported delay. More than a day later means that they left
-- this hour out when summer time began.
CREATE VIEW flights AS
WITH departing AS (
    SELECT
        f.*, utc(time_hour) + to_minutes(minute::INT) AS scheduled, scheduled + to_minutes(dep_delay::INT) AS departed,
        here.shown + to_minutes(minute::INT) AS scheduled_shown,
        CASE WHEN dest IN ('BQN', 'PSE', 'SJU', 'STT') THEN 'America/Puerto_Rico' ELSE there.tzone END AS there
    FROM flights_file AS f
    LEFT JOIN airports_file AS origins ON origins.faa = origin
    LEFT JOIN clock AS here ON here.zone = origins.tzone AND here.instant = utc(time_hour)
    LEFT JOIN airports_file AS there ON there.faa = dest
), timed AS (
    SELECT
        d.*,
        planned.instant + to_minutes(minutes(sched_arr_time)) AS scheduled_arrival,
        actual.instant + to_minutes(minutes(arr_time)) AS arrived
    FROM departing AS d
    ASOF LEFT JOIN clock AS planned
        ON planned.zone = there AND planned.shown_hour = hours(sched_arr_time)
        AND scheduled - to_minutes(minutes(sched_arr_time)) < planned.instant
    ASOF LEFT JOIN clock AS actual
        ON actual.zone = there AND actual.shown_hour = hours(arr_time)
        AND departed - to_minutes(minutes(arr_time)) < actual.instant
)
SELECT
    line, row_number() OVER (ORDER BY utc(time_hour), minute::INT, carrier, flight::INT, origin) - 1 AS place,
    coalesce(tailnum, format('{}-{}-{}-{:04d}-{:02d}-{:02d}', carrier, flight, origin, year::INT, month::INT, day::INT))
        AS "key",
    CASE
        WHEN scheduled_shown IS NULL OR there IS NULL THEN 'time_zone'
        WHEN scheduled_shown <> make_timestamp(
            year::INT, month::INT, day::INT, hours(sched_dep_time), minutes(sched_dep_time), 0
        )
            THEN 'time_hour'
        WHEN (dep_time IS NULL) <> (dep_delay IS NULL)
            OR (minute_of_day(sched_dep_time) + dep_delay::INT - minute_of_day(dep_time)) % 1440 <> 0
            THEN 'departure'
        WHEN arr_time IS NULL AND arr_delay IS NOT NULL OR dep_time IS NULL AND arr_time IS NOT NULL
            OR (minute_of_day(sched_arr_time) + arr_delay::INT - minute_of_day(arr_time)) % 1440 <> 0
            THEN 'arrival'
        WHEN scheduled_arrival > scheduled + INTERVAL 24 HOUR OR arrived > departed + INTERVAL 24 HOUR
            THEN 'skipped_hour'
        WHEN air_time IS NOT NULL
            AND (arrived IS NULL OR air_time::INT < 1 OR arrived < departed + to_minutes(air_time::INT))
            THEN 'air_time'
        WHEN distance::INT * 60 > 620 * air_time::INT THEN 'speed'
    END AS reason,
    carrier, flight::INT AS flight_number, tailnum AS tail_number, origin, dest AS destination,
    epoch_ms(scheduled) AS scheduled_departure_at, epoch_ms(departed) AS departed_at,
    dep_delay::INT AS departure_delay_min, epoch_ms(scheduled_arrival) AS scheduled_arrival_at,
    epoch_ms(arrived) AS arrived_at, arr_delay::INT AS arrival_delay_min, air_time::INT AS air_time_min,
    distance::INT AS distance_mi, departed IS NULL AS cancelled
FROM timed;
