USE ads_db;
select * from
(
select
    `impression_id` as impression_id_1,
    `shown_at` as request_time,
    `topic` as ad_topic,
    `placement` as ad_placement,
    hour(`shown_at`) as hour,
    dayofweek(`shown_at`) as weekday,
    count(`ad_id`) over shown_1h as shown_1h,
    distinct_count(`campaign_id`) over shown_7d as campaigns_7d,
    topn_frequency(`placement`, 2) over shown_7d as top_placements_7d,
    count(`ad_id`) over campaign_6h as campaign_shown_6h
from
    `impression`
    window shown_1h as (partition by `reader_id` order by `shown_at` rows_range between 1h preceding and 0s preceding MAXSIZE 100),
    shown_7d as (partition by `reader_id` order by `shown_at` rows_range between 7d preceding and 0s preceding MAXSIZE 100),
    campaign_6h as (partition by `reader_id`, `campaign_id` order by `shown_at` rows_range between 6h preceding and 0s preceding MAXSIZE 100)
)
as out0
last join
(
select
    `impression`.`impression_id` as impression_id_2,
    case when isnull(`click`.`clicked_at`) then 0 else 1 end as clicked,
    `reader`.`device` as device,
    `reader`.`country` as country,
    year(`reader`.`since`) as reader_since,
    `ad`.`creative` as creative,
    `ad`.`bid` as bid
from
    `impression`
    last join `click` as `click` on `impression`.`impression_id` = `click`.`impression_id`
    last join `reader` as `reader` on `impression`.`reader_id` = `reader`.`reader_id`
    last join `ad` as `ad` on `impression`.`ad_id` = `ad`.`ad_id`
)
as out1
on out0.impression_id_1 = out1.impression_id_2
last join
(
select
    `impression_id` as impression_id_3,
    count_where(`topic`, `from_search`) over read_2h as searches_2h,
    distinct_count(`topic`) over read_1d as topics_1d,
    topn_frequency(`topic`, 2) over read_1d as top_topics_1d,
    avg(`seconds`) over read_7d as page_seconds_7d,
    max(`seconds`) over read_7d as longest_page_7d,
    double(count_where(`topic`, `from_search`) over read_7d) / count(`topic`) over read_7d as searched_share_7d
from
    (select `reader_id` as `reader_id`, bigint(`shown_at`) + 0 as `visited_at`, '' as `topic`, double(0) as `seconds`, bool(0) as `from_search`, impression_id from `impression`)
    window read_2h as (
UNION (select `reader_id`, `visited_at`, `topic`, `seconds`, `from_search`, bigint(0) as impression_id from `visit`) partition by `reader_id` order by `visited_at` rows_range between 2h preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW),
    read_1d as (
UNION (select `reader_id`, `visited_at`, `topic`, `seconds`, `from_search`, bigint(0) as impression_id from `visit`) partition by `reader_id` order by `visited_at` rows_range between 1d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW),
    read_7d as (
UNION (select `reader_id`, `visited_at`, `topic`, `seconds`, `from_search`, bigint(0) as impression_id from `visit`) partition by `reader_id` order by `visited_at` rows_range between 7d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW)
)
as out2
on out0.impression_id_1 = out2.impression_id_3
last join
(
select
    `impression_id` as impression_id_4,
    if_null(sum(`seconds`), 0.0) over topic_1d as topic_seconds_1d,
    count(`topic`) over topic_1d as topic_pages_1d,
    if_null(sum(`seconds`), 0.0) over topic_7d as topic_seconds_7d
from
    (select `reader_id` as `reader_id`, bigint(`shown_at`) + 0 as `visited_at`, `topic` as `topic`, double(0) as `seconds`, bool(0) as `from_search`, impression_id from `impression`)
    window topic_1d as (
UNION (select `reader_id`, `visited_at`, `topic`, `seconds`, `from_search`, bigint(0) as impression_id from `visit`) partition by `reader_id`, `topic` order by `visited_at` rows_range between 1d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW),
    topic_7d as (
UNION (select `reader_id`, `visited_at`, `topic`, `seconds`, `from_search`, bigint(0) as impression_id from `visit`) partition by `reader_id`, `topic` order by `visited_at` rows_range between 7d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW)
)
as out3
on out0.impression_id_1 = out3.impression_id_4
INTO OUTFILE '/data/out/1';
