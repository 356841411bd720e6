CREATE DATABASE ads_db;
USE ads_db;
CREATE TABLE impression(impression_id bigint, shown_at timestamp, reader_id bigint, ad_id int, campaign_id int, topic string, placement smallint);
CREATE TABLE click(impression_id bigint, clicked_at bigint);
CREATE TABLE visit(reader_id bigint, visited_at bigint, topic string, seconds double, from_search bool);
CREATE TABLE reader(reader_id bigint, since date, device string, country string);
CREATE TABLE ad(ad_id int, campaign_id int, creative string, bid double);
