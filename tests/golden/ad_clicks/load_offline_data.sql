USE ads_db;
SET @@execute_mode='offline';
LOAD DATA INFILE '/data/ad_clicks/impression/*.parquet' INTO TABLE impression options(format='parquet', header=true, mode='overwrite');
LOAD DATA INFILE '/data/ad_clicks/click/*.parquet' INTO TABLE click options(format='parquet', header=true, mode='overwrite');
LOAD DATA INFILE '/data/ad_clicks/visit/*.parquet' INTO TABLE visit options(format='parquet', header=true, mode='overwrite');
LOAD DATA INFILE '/data/ad_clicks/reader/*.parquet' INTO TABLE reader options(format='parquet', header=true, mode='overwrite');
LOAD DATA INFILE '/data/ad_clicks/ad/*.parquet' INTO TABLE ad options(format='parquet', header=true, mode='overwrite');
