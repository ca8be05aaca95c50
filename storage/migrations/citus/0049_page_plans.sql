-- A plan that is made once, before the patient is known, does not know the machine either: Citus refuses it.
ALTER FUNCTION passerelle.page_rows(int4, int2, int4, int4, timestamptz, timestamptz, int4, int2, int2, int2[], int4[],
    int4, boolean) RESET plan_cache_mode;
