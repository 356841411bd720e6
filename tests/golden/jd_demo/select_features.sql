USE JD_db;
select * from
(
select
    `reqId` as reqId_1,
    `eventTime` as request_time,
    `sku_id` as sku,
    dayofweek(`eventTime`) as weekday,
    case when dayofweek(`eventTime`) between 2 and 6 then 1 else 0 end as is_weekday,
    distinct_count(`pair_id`) over user_10 as user_pairs_10,
    distinct_count(`pair_id`) over user_14d as user_pairs_14d,
    top1_ratio(`pair_id`) over user_10 as user_top_pair_share_10,
    top1_ratio(`pair_id`) over user_14d as user_top_pair_share_14d,
    count_where(`pair_id`, `pair_id` = at(`pair_id`, 0)) over user_10 as pair_requests_10
from
    `flattenRequest`
    window user_10 as (partition by `user_id` order by `eventTime` rows between 10 preceding and 0 preceding),
    user_14d as (partition by `user_id` order by `eventTime` rows_range between 14d preceding and 0s preceding MAXSIZE 200)
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
    `product`.`cate` as product_category,
    `user`.`age` as user_age,
    `user`.`sex` as user_sex,
    `user`.`user_lv_cd` as user_level
from
    `flattenRequest`
    last join `action` as `action` on `flattenRequest`.`reqId` = `action`.`reqId`
    last join `bo_product` as `product` on `flattenRequest`.`sku_id` = `product`.`sku_id`
    last join `bo_user` as `user` on `flattenRequest`.`user_id` = `user`.`user_id`
)
as out1
on out0.reqId_1 = out1.reqId_2
last join
(
select
    `reqId` as reqId_3,
    max(`bad_comment_rate`) over comments_64d as bad_comments_max_64d,
    min(`bad_comment_rate`) over comments_64d as bad_comments_min_64d,
    distinct_count(`comment_num`) over comments_64d as comment_levels_64d,
    distinct_count(`has_bad_comment`) over comments_64d as has_bad_comment_64d,
    topn_frequency(`comment_num`, 3) over comments_64d as comment_levels_top_64d,
    topn_frequency(`has_bad_comment`, 3) over comments_64d as has_bad_comment_top_64d
from
    (select `eventTime` as `ingestionTime`, bigint(0) as `dt`, `sku_id` as `sku_id`, int(0) as `comment_num`, '' as `has_bad_comment`, float(0) as `bad_comment_rate`, reqId from `flattenRequest`)
    window comments_64d as (
UNION (select `ingestionTime`, `dt`, `sku_id`, `comment_num`, `has_bad_comment`, `bad_comment_rate`, '' as reqId from `bo_comment`) partition by `sku_id` order by `ingestionTime` rows_range between 64d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW)
)
as out2
on out0.reqId_1 = out2.reqId_3
last join
(
select
    `reqId` as reqId_4,
    topn_frequency(`br`, 3) over pair_10h as pair_brand_10h,
    topn_frequency(`cate`, 3) over pair_10h as pair_category_10h,
    topn_frequency(`model_id`, 3) over pair_7d as pair_modules_top_7d,
    distinct_count(`model_id`) over pair_7d as pair_modules_7d,
    distinct_count(`model_id`) over pair_14d as pair_modules_14d,
    distinct_count(`type`) over pair_14d as pair_types_14d,
    topn_frequency(`type`, 3) over pair_7d as pair_types_top_7d,
    topn_frequency(`type`, 3) over pair_14d as pair_types_top_14d
from
    (select `eventTime` as `ingestionTime`, `pair_id` as `pair_id`, bigint(0) as `time`, '' as `model_id`, '' as `type`, '' as `cate`, '' as `br`, reqId from `flattenRequest`)
    window pair_10h as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 10h preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW),
    pair_7d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 7d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW),
    pair_14d as (
UNION (select `ingestionTime`, `pair_id`, `time`, `model_id`, `type`, `cate`, `br`, '' as reqId from `bo_action`) partition by `pair_id` order by `ingestionTime` rows_range between 14d preceding and 0s open preceding MAXSIZE 100 INSTANCE_NOT_IN_WINDOW)
)
as out3
on out0.reqId_1 = out3.reqId_4
INTO OUTFILE '/data/out/1';
