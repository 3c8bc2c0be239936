# SPDX-License-Identifier: MIT
"""chat.json: chat templates and what Jinja makes of them.

Versions: jinja2 3.1.6, set up as Hugging Face's apply_chat_template does (sandboxed, trim_blocks, lstrip_blocks,
loopcontrols; tools and documents are None). Command: python make_chat.py (writes beside itself).
`families` are in the manner of the well-known models' templates; `pieces` are small expressions and corners of the
white space rules. An `error` marks a template that raises in Jinja too.
"""
import json
import os

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception

FAMILIES = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
    "chatml-qwen2.5": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {{- tools | tojson }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "qwen3": """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "llama-2": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "llama-3": """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}""",
    "llama-3.2": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message #}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- raise_exception("This model only supports single tool-calls at once!") }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}""",
    "gemma-3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
""",
    "mistral": """{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}""",
    "mistral-v3": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
""",
    "phi-3": """{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "deepseek-r1": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{%- if ns.is_tool %}{{'<｜tool▁outputs▁end｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜>'}}{% endif %}""",
    "vicuna": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{{ messages[0]['content'] | trim }}{% else %}{% set loop_messages = messages %}{{ 'A chat.' }}{% endif %}{% for message in loop_messages %}{% if message['role'] == 'user' %}{{ ' USER: ' ~ message['content'] | trim }}{% elif message['role'] == 'assistant' %}{{ ' ASSISTANT: ' ~ message['content'] | trim ~ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}""",
    "command-r": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% elif false == true %}{% set loop_messages = messages %}{% set system_message = 'You are large.' %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_message + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'  + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}""",
}
CHATS = [
    [("user", "Hello!")],
    [("system", " You answer in one word.\n"), ("user", "Capital of Italy?")],
    [("user", "2+2?"), ("assistant", "<think>\nadd\n</think>\n\n4"), ("user", "  Times 10?\nShow \"steps\".\n")],
    [("system", ""), ("user", "na\u00efve \U0001f600"), ("assistant", "ok\t"), ("user", "\u3000wide\u3000")],
    [("user", "a"), ("user", "b")],
    [],
]
PIECES = [
    # white space: trim_blocks, lstrip_blocks, signs, comments
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc\n",
    "  {%+ if true %}x{% endif +%}\n y", "x {% if true %} y {% endif %} z", "{# c #}\n  {# d #}\ne {# f #} g",
    "a {#- c -#} b", "a\n\n{{- 'x' -}}\n\nb", "  {{ 'x' }}\n  {{ 'y' }}\n\n", "\n{% set a = 1 %}\n\n{{ a }}\n\n\n",
    "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\n", "{%- set x = 1 -%}   \n   {%- set y = 2 %}\n   {{ x + y }}", "{{ '}}' }}{{ '{%' }}",
    "a {%- if 1 %} b {% endif -%} c", "line\n\t{% for i in [1,2] %}\n\t{{ i }},\n\t{% endfor %}\nend", "{% if true %}\n\n{% endif %}x",
    "{{ {'a': {'b': 1}}['a']['b'] }}", "{# a\nb #}{# c -#}  \n  d",
    # operators
    "{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 - -1 }}", "{{ 'a' ~ 1 ~ true ~ none }}",
    "{{ 1 == 1 }} {{ 1 == true }} {{ '1' == 1 }} {{ none == none }} {{ 'a' < 'b' }} {{ 'B' >= 'a' }} {{ 2 > 1 }} {{ 1 != 2 }}",
    "{{ 'a' in 'cat' }} {{ 'x' not in 'cat' }} {{ 1 in [1, 2] }} {{ 'role' in messages[0] }} {{ 'z' in {'a': 1} }}",
    "{{ 0 or 'x' }} {{ '' and 'y' }} {{ 'a' and 'b' }} {{ not '' }} {{ not not 1 }} {{ not 1 == 2 }}",
    "{{ 'yes' if 1 else 'no' }} {{ 'x' if 0 }} {{ 1 if 0 else 2 if 0 else 3 }}", "{{ ('a', 'b')[1] }} {{ ()|length }} {{ (1) + 1 }}",
    "{{ [1, 2] + [3] == [1, 2, 3] }} {{ [1,2,3,] | length }} {{ {'a': 1, 'b': 2}|length }}", "{{ 'a' 'b' \"c\" }} {{ 'it\\'s \\t \\u00e9 \\x41 \\\\n \\q' }}",
    "{{ 'x' + 'y' | upper }} {{ ('x' + 'y') | upper }} {{ -1|string }} {{ 1_000 }}", "{{ 5 is number and 'a' is string }} {{ not x is defined }}",
    "{{ 10 is divisibleby 5 }}", "{{ 3 is odd }} {{ 3 is even }} {{ none is none }} {{ none is not none }} {{ x is not defined }} {{ 1 is eq 1 }} {{ 'a' is in ['a'] }}",
    "{{ true is boolean }} {{ 1 is integer }} {{ 1 is boolean }} {{ true is true }} {{ [] is sequence }} {{ 'a' is iterable }} {{ {} is mapping }} {{ messages is iterable }} {{ 4 is iterable }}",
    # parts
    "{{ 'h\u00e9llo'[1] }} {{ 'h\u00e9llo'[-1] }} {{ 'h\u00e9llo'[1:3] }} {{ 'h\u00e9llo'[::-1] }} {{ 'abc'[5:] }}|{{ 'abc'[-2:] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[4:1:-1] }} {{ 'abc'[7] }}",
    "{{ [1,2,3][1:]|join(',') }} {{ [1,2,3][:-1]|join }} {{ [1,2,3][::-2]|join('-') }} {{ [1,2,3][-5:99]|join }} {{ [1,2,3][1:1]|length }} {{ [1,2][10] is defined }}",
    "{{ messages[-1].content }} {{ messages[1:]|length }} {{ messages[0].nope is defined }} {{ messages[0]['nope'] }}", "{{ messages[0].get('role') }} {{ messages[0].get('x', 'y') }} {{ messages[0].get('x') }}",
    # loops and scopes
    "{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for (k, v) in {'a': 1}|items %}{{ k }}{{ v }}{% endfor %}", "{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %} {% for v in {'a': 1}.values() %}{{ v }}{% endfor %}{% for c in 'h\u00e9' %}{{ c }}.{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}{% for i in nope %}x{% else %}none{% endfor %}", "{% for i in range(6) if i % 2 %}{{ i }}{{ loop.length }}{{ loop.first }} {% else %}no{% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "{% if true %}{% set x = 5 %}{% endif %}{{ x }}",
    "{% set ns = namespace(n=0, s='') %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }} {{ ns.s }}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}!", "{% for a in [1,2] %}{% for b in [3,4] %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{{ loop.index }}{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if not loop.first }}{{ loop.nextitem is defined }}{% endfor %}", "{% set b %}[{{ 1 + 1 }}]{% endset %}{{ b }}{{ b|length }}",
    "{% if 0 %}a{% elif 1 %}{% if 1 %}b{% endif %}c{% else %}d{% endif %}{% if 0 %}x{% else %}{% if 1 %}y{% endif %}z{% endif %}", "{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}{{ range(2)|list|length }}",
    # filters and methods
    "[{{ '  a b\\n'|trim }}] [{{ 'xxaxx'|trim('x') }}] [{{ ' a '.strip() }}] [{{ ' a '.lstrip() }}] [{{ ' a '.rstrip() }}] [{{ 'abcba'.strip('ab') }}] [{{ '\u3000a\u00a0\u001c'|trim }}]",
    "{{ 'aB\u00e9'|upper }} {{ 'AB\u00c9'|lower }} {{ 'hello World'|capitalize }} {{ 'hello wORLD'|title }} {{ 'x'.upper() }} {{ 'ab cd'.title() }}", "{{ 'a,b,,c'.split(',')|join('|') }} {{ ' a  b '.split()|join('|') }} {{ 'a b  c '.split(none, 1)|join('|') }} {{ 'a-b-c'.split('-', 1)|join('|') }} {{ ''.split(',')|length }}",
    "{{ 'banana'|replace('an', 'x') }} {{ 'aaa'.replace('a', 'bb') }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ ', '.join(['a', 'b']) }}", "{{ nope|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }} {{ none|d('x', boolean=true) }} {{ nope|d }}|",
    "{{ [1,2,3]|first }} {{ [1,2,3]|last }} {{ 'abc'|first }} {{ [3,1]|reverse|list|join }} {{ 'abc'|reverse }} {{ '12'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 12|string|length }} {{ 'h\u00e9'|length }} {{ [1]|count }}",
    "{{ messages|map(attribute='role')|join(',') }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|rejectattr('role', '==', 'user')|list|length }} {{ messages|selectattr('content')|list|length }}",
    "{{ 'a\"b\\\\\\n\\t\u00e9\u0001\u007f<>&'|tojson }} {{ {'a': [1, true, none], 'b': {}}|tojson }} {{ [] | tojson }}", "{{ {'a': [1, {'b': 'x'}], 'c': []}|tojson(indent=2) }}", "{{ messages|tojson }}",
    "{{ dict(a=1, b='x').b }} {{ dict(a=1).a }}", "{{ none }} {{ true }} {{ nope }} {{ 0 }}", "{{ bos_token }}{{ eos_token }}{{ tools is none }}{{ documents }}",
    # what Jinja refuses too
    "{{ nope.x }}", "{{ nope['x'] }}", "{{ nope() }}", "{{ 'a' + 1 }}", "{{ 1 // 0 }}", "{{ 'a' < 1 }}", "{{ raise_exception('told so') }}", "{% for i in 5 %}{% endfor %}", "{{ 1 in 5 }}",
    "{% if %}{% endif %}", "{% if 1 %}", "{% endif %}", "{{ 1 +", "{{ 'a }}", "{# x", "{% for x %}{% endfor %}", "{{ a b }}", "{{ [1, 2 }}", "{% nonsense %}", "{{ 1 | nope }}", "{{ 1 is nope }}", "{{ }}",
    "{% set x.y = 1 %}", "{% else %}", "{% for a in [1] %}{% endif %}", "{{ ')' ) }}", "{% set %}", "{{ none.x.y }}", "{{ 'a'.nope() }}",
]
HERE = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "bye"}]


def render(source, messages, gen):
    try:
        return {"rendered": env.from_string(source).render(messages=messages, tools=None, documents=None, bos_token="<s>", eos_token="</s>", add_generation_prompt=gen)}
    except Exception as e:
        return {"error": type(e).__name__ + ": " + str(e)}


rows = []
for name, source in FAMILIES.items():
    for c in CHATS:
        m = [{"role": r, "content": t} for r, t in c]
        rows += [{"name": name, "messages": m, "gen": gen, **render(source, m, gen)} for gen in (False, True)]
pieces = [{"source": s, **render(s, HERE, False)} for s in PIECES]
print(len(rows), "renderings,", sum("error" in r for r in rows), "refused;", len(pieces), "pieces,", sum("error" in r for r in pieces), "refused")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat.json"), "w") as f:
    json.dump({"templates": FAMILIES, "families": rows, "piece_messages": HERE, "pieces": pieces}, f, indent=0)
    f.write("\n")
