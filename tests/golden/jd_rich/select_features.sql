USE JD_db;
select * from
(
select
    `reqId` as reqId_1,
    `eventTime` as request_time,
    `sku_id` as sku,
    dayofweek(`eventTime`) as weekday,
    hour(`eventTime`) as hour_of_day,
    count(`sku_id`) over user_asked_7d as user_asked_7d_requests,
    distinct_count(`sku_id`) over user_asked_7d as user_asked_7d_products,
    count(`sku_id`) over user_asked_30d as user_asked_30d_requests,
    distinct_count(`sku_id`) over user_asked_30d as user_asked_30d_products,
    count(`user_id`) over sku_asked_3d as sku_asked_3d_requests,
    count(`user_id`) over sku_asked_7d as sku_asked_7d_requests,
    count(`user_id`) over sku_asked_30d as sku_asked_30d_requests,
    distinct_count(`user_id`) over sku_asked_30d as sku_asked_30d_users,
    count(`user_id`) over pair_asked_30d as pair_asked_30d_requests
from
    `flattenRequest`
    window user_asked_7d as (partition by `user_id` order by `eventTime` rows_range between 7d preceding and 0s open preceding),
    user_asked_30d as (partition by `user_id` order by `eventTime` rows_range between 30d preceding and 0s open preceding),
    sku_asked_3d as (partition by `sku_id` order by `eventTime` rows_range between 3d preceding and 0s open preceding),
    sku_asked_7d as (partition by `sku_id` order by `eventTime` rows_range between 7d preceding and 0s open preceding),
    sku_asked_30d as (partition by `sku_id` order by `eventTime` rows_range between 30d preceding and 0s open preceding),
    pair_asked_30d as (partition by `pair_id` order by `eventTime` rows_range between 30d preceding and 0s open preceding)
)
as out0
last join
(
select
    `flattenRequest`.`reqId` as reqId_2,
    `action`.`actionValue` as purchase_intent,
    `product`.`a1` as product_a1,
    `product`.`a2` as product_a2,
    `product`.`a3` as product_a3,
    `product`.`br` as product_brand,
    `product`.`cate` as product_category
from
    `flattenRequest`
    last join `action` as `action` on `flattenRequest`.`reqId` = `action`.`reqId`
    last join `bo_product` as `product` on `flattenRequest`.`sku_id` = `product`.`sku_id`
)
as out1
on out0.reqId_1 = out1.reqId_2
last join
(
select
    `reqId` as reqId_3,
    max(`bad_comment_rate`) over comments_64d as bad_comments_64d,
    max(`comment_num`) over comments_64d as comments_64d_most
from
    (select `eventTime` as `ingestionTime`, bigint(0) as `dt`, `sku_id` as `sku_id`, int(0) as `comment_num`, '' as `has_bad_comment`, float(0) as `bad_comment_rate`, reqId from `flattenRequest`)
    window comments_64d as (
UNION (select `ingestionTime`, `dt`, `sku_id`, `comment_num`, `has_bad_comment`, `bad_comment_rate`, '' as reqId from `bo_comment`) partition by `sku_id` order by `ingestionTime` rows_range between 64d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)
)
as out2
on out0.reqId_1 = out2.reqId_3
last join
(
select
    `reqId` as reqId_4,
    bigint(at(`ingestionTime`, 0) over pair_recent) - bigint(at(`ingestionTime`, 1) over pair_recent) as pair_pause,
    count(`type`) over pair_7d as pair_7d_events,
    count_where(`type`, `type` = '1') over pair_7d as pair_7d_browses,
    count_where(`type`, `type` = '2') over pair_7d as pair_7d_carts,
    count_where(`type`, `type` = '6') over pair_7d as pair_7d_clicks,
    count(`type`) over pair_30d as pair_30d_events,
    count_where(`type`, `type` = '1') over pair_30d as pair_30d_browses,
    count_where(`type`, `type` = '2') over pair_30d as pair_30d_carts,
    count_where(`type`, `type` = '6') over pair_30d as pair_30d_clicks,
    distinct_count(`model_id`) over pair_30d as pair_30d_modules
from
    (select `eventTime` as `ingestionTime`, `pair_id` as `pair_id`, bigint(0) as `time`, '' as `model_id`, '' as `type`, '' as `cate`, '' as `br`, reqId from `flattenRequest`)
    window pair_recent as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 60d preceding and 0s preceding EXCLUDE CURRENT_TIME INSTANCE_NOT_IN_WINDOW),
    pair_7d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 7d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW),
    pair_30d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 30d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)
)
as out3
on out0.reqId_1 = out3.reqId_4
last join
(
select
    `reqId` as reqId_5,
    bigint(at(`ingestionTime`, 0) over user_recent) - bigint(at(`ingestionTime`, 1) over user_recent) as user_pause,
    count(`type`) over user_60d as user_60d_events,
    count_where(`type`, `type` = '2') over user_60d as user_60d_carts,
    count_where(`type`, `type` = '4') over user_60d as user_60d_orders,
    count_where(`type`, `type` = '5') over user_60d as user_60d_favourites,
    distinct_count(`cate`) over user_60d as user_60d_categories,
    distinct_count(`br`) over user_60d as user_60d_brands,
    double(count(`type`) over user_60d) / (distinct_count(`pair_id`) over user_60d + 1) as user_60d_per_product,
    double(count_where(`type`, `type` = '2') over user_60d) / (count_where(`type`, `type` = '1') over user_60d + 1) as user_60d_carts_per_browse,
    topn_frequency(`cate`, 1) over user_60d as user_60d_top_category,
    topn_frequency(`br`, 1) over user_60d as user_60d_top_brand
from
    (select `eventTime` as `ingestionTime`, '' as `pair_id`, bigint(0) as `time`, '' as `model_id`, '' as `type`, '' as `cate`, '' as `br`, `user_id` as `user_id`, reqId from `flattenRequest`)
    window user_recent as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_key(`pair_id`, ',', '_'), '') as `user_id`, '' as reqId from `bo_action`) partition by `user_id` order by `ingestionTime` rows_range between 60d preceding and 0s preceding EXCLUDE CURRENT_TIME INSTANCE_NOT_IN_WINDOW),
    user_60d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_key(`pair_id`, ',', '_'), '') as `user_id`, '' as reqId from `bo_action`) partition by `user_id` order by `ingestionTime` rows_range between 60d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)
)
as out4
on out0.reqId_1 = out4.reqId_5
last join
(
select
    `reqId` as reqId_6,
    bigint(at(`ingestionTime`, 0) over sku_recent) - bigint(at(`ingestionTime`, 1) over sku_recent) as sku_pause,
    count(`type`) over sku_3d as sku_3d_events,
    count_where(`type`, `type` = '1') over sku_3d as sku_3d_browses,
    count_where(`type`, `type` = '2') over sku_3d as sku_3d_carts,
    count_where(`type`, `type` = '4') over sku_3d as sku_3d_orders,
    count_where(`type`, `type` = '6') over sku_3d as sku_3d_clicks,
    distinct_count(`pair_id`) over sku_3d as sku_3d_users,
    double(count_where(`type`, `type` = '2') over sku_3d) / (count_where(`type`, `type` = '1') over sku_3d + 1) as sku_3d_carts_per_browse,
    double(count_where(`type`, `type` = '2') over sku_3d + count_where(`type`, `type` = '5') over sku_3d) / (distinct_count(`pair_id`) over sku_3d + 1) as sku_3d_wishes_per_user,
    double(count_where(`type`, `type` = '2') over sku_3d + count_where(`type`, `type` = '4') over sku_3d + count_where(`type`, `type` = '5') over sku_3d) / (count(`type`) over sku_3d + 1) as sku_3d_wishes_per_event,
    count(`type`) over sku_7d as sku_7d_events,
    count_where(`type`, `type` = '1') over sku_7d as sku_7d_browses,
    count_where(`type`, `type` = '2') over sku_7d as sku_7d_carts,
    count_where(`type`, `type` = '4') over sku_7d as sku_7d_orders,
    count_where(`type`, `type` = '6') over sku_7d as sku_7d_clicks,
    distinct_count(`pair_id`) over sku_7d as sku_7d_users,
    double(count_where(`type`, `type` = '2') over sku_7d) / (count_where(`type`, `type` = '1') over sku_7d + 1) as sku_7d_carts_per_browse,
    double(count_where(`type`, `type` = '2') over sku_7d + count_where(`type`, `type` = '5') over sku_7d) / (distinct_count(`pair_id`) over sku_7d + 1) as sku_7d_wishes_per_user,
    double(count_where(`type`, `type` = '2') over sku_7d + count_where(`type`, `type` = '4') over sku_7d + count_where(`type`, `type` = '5') over sku_7d) / (count(`type`) over sku_7d + 1) as sku_7d_wishes_per_event,
    count(`type`) over sku_30d as sku_30d_events,
    count_where(`type`, `type` = '1') over sku_30d as sku_30d_browses,
    count_where(`type`, `type` = '2') over sku_30d as sku_30d_carts,
    count_where(`type`, `type` = '4') over sku_30d as sku_30d_orders,
    count_where(`type`, `type` = '6') over sku_30d as sku_30d_clicks,
    distinct_count(`pair_id`) over sku_30d as sku_30d_users,
    double(count_where(`type`, `type` = '2') over sku_30d) / (count_where(`type`, `type` = '1') over sku_30d + 1) as sku_30d_carts_per_browse,
    double(count_where(`type`, `type` = '2') over sku_30d + count_where(`type`, `type` = '5') over sku_30d) / (distinct_count(`pair_id`) over sku_30d + 1) as sku_30d_wishes_per_user,
    double(count_where(`type`, `type` = '2') over sku_30d + count_where(`type`, `type` = '4') over sku_30d + count_where(`type`, `type` = '5') over sku_30d) / (count(`type`) over sku_30d + 1) as sku_30d_wishes_per_event,
    count(`type`) over sku_60d as sku_60d_events,
    count_where(`type`, `type` = '1') over sku_60d as sku_60d_browses,
    count_where(`type`, `type` = '2') over sku_60d as sku_60d_carts,
    count_where(`type`, `type` = '4') over sku_60d as sku_60d_orders,
    count_where(`type`, `type` = '6') over sku_60d as sku_60d_clicks,
    distinct_count(`pair_id`) over sku_60d as sku_60d_users,
    double(count_where(`type`, `type` = '2') over sku_60d) / (count_where(`type`, `type` = '1') over sku_60d + 1) as sku_60d_carts_per_browse,
    double(count_where(`type`, `type` = '2') over sku_60d + count_where(`type`, `type` = '5') over sku_60d) / (distinct_count(`pair_id`) over sku_60d + 1) as sku_60d_wishes_per_user,
    double(count_where(`type`, `type` = '2') over sku_60d + count_where(`type`, `type` = '4') over sku_60d + count_where(`type`, `type` = '5') over sku_60d) / (count(`type`) over sku_60d + 1) as sku_60d_wishes_per_event
from
    (select `eventTime` as `ingestionTime`, '' as `pair_id`, bigint(0) as `time`, '' as `model_id`, '' as `type`, '' as `cate`, '' as `br`, `sku_id` as `sku_id`, reqId from `flattenRequest`)
    window sku_recent as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_value(`pair_id`, ',', '_'), '') as `sku_id`, '' as reqId from `bo_action`) partition by `sku_id` order by `ingestionTime` rows_range between 60d preceding and 0s preceding EXCLUDE CURRENT_TIME INSTANCE_NOT_IN_WINDOW),
    sku_3d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_value(`pair_id`, ',', '_'), '') as `sku_id`, '' as reqId from `bo_action`) partition by `sku_id` order by `ingestionTime` rows_range between 3d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW),
    sku_7d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_value(`pair_id`, ',', '_'), '') as `sku_id`, '' as reqId from `bo_action`) partition by `sku_id` order by `ingestionTime` rows_range between 7d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW),
    sku_30d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_value(`pair_id`, ',', '_'), '') as `sku_id`, '' as reqId from `bo_action`) partition by `sku_id` order by `ingestionTime` rows_range between 30d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW),
    sku_60d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, `join`(split_by_value(`pair_id`, ',', '_'), '') as `sku_id`, '' as reqId from `bo_action`) partition by `sku_id` order by `ingestionTime` rows_range between 60d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)
)
as out5
on out0.reqId_1 = out5.reqId_6
INTO OUTFILE '/data/out/1';
