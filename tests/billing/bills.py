"""Exports as the companies' pages give them: their columns in their order, with figures of our own."""

OPENAI_USAGE = """\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,\
input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens,input_text_tokens,output_text_tokens
1763596800,1763683200,2025-11-20T00:00:00+00:00,2025-11-21T00:00:00+00:00,,3,,,gpt-5-2025-08-07,False,default,1000,200,300,700,1000,200
1763596800,1763683200,2025-11-20T00:00:00+00:00,2025-11-21T00:00:00+00:00,proj_b,1,,,gpt-5-2025-08-07,False,default,24,6,0,24,24,6
1763683200,1763769600,2025-11-21T00:00:00+00:00,2025-11-22T00:00:00+00:00,,2,,,gpt-5-mini-2025-08-07,False,default,50,60,0,50,50,60
1763769600,1763856000,2025-11-22T00:00:00+00:00,2025-11-23T00:00:00+00:00,,,,,,,,,,,,,
"""

OPENAI_COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,api_key_id,\
project_id,organization_id,project_name,organization_name,user_email,api_source
1763596800,1763683200,2025-11-20T00:00:00,2025-11-21T00:00:00,0.0012800000000000000,usd,1024,tokens,"gpt-5-2025-08-07, input",,,,org-x,,X,,
1763596800,1763683200,2025-11-20T00:00:00,2025-11-21T00:00:00,0.0020604999999999999,usd,206,tokens,"gpt-5-2025-08-07, output",,,,org-x,,X,,
1763596800,1763683200,2025-11-20T00:00:00,2025-11-21T00:00:00,0.25,usd,25,calls,"web search tool calls | gpt-5",,,,org-x,,X,,
1763683200,1763769600,2025-11-21T00:00:00+00:00,2025-11-22T00:00:00+00:00,,,,,,,,,,,,,
"""

OPENAI_TOTALS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name
1763596800,1763683200,2025-11-20T00:00:00+00:00,2025-11-21T00:00:00+00:00,0.5617712500000000,usd,,,org-x,Personal
"""

ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,\
web_search_count,inference_geo,speed
2025-11-20,claude-sonnet-4-5-20250929,prod,Default,standard,≤ 200k,100,20,3,4000,50,0,not_available,
2025-11-20,claude-sonnet-4-5-20250929,test,Default,standard,≤ 200k,1,0,0,0,5,0,not_available,
2025-11-21,claude-haiku-4-5-20251001,prod,Default,batch,≤ 200k,7,0,0,0,9,2,not_available,
"""

ANTHROPIC_COST = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,inference_geo,speed,\
api_key_id,api_key_status
2025-11-20,Claude Sonnet 4.5,Default,prod,message,≤ 200k,input_no_cache,0.05,0.05,token,not_available,,apikey_01,active
2025-11-20,Claude Sonnet 4.5,Default,prod,message,≤ 200k,output,0.02,0.04,token,not_available,,apikey_01,active
2025-11-21,,Default,prod,message,,,0.30,0.30,web_search,not_available,,apikey_01,active
"""
