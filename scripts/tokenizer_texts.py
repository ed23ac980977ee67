"""Texts to try tokenizers on: made from a seed, the same on every machine.

Used by make_tokenizer_goldens.py and check_tokenizer.py.
"""

import json
import random
import sys

PARAGRAPHS = [
    "The jeweller turned the stone under the lamp until the light broke into colours. "
    "\"It isn't a ruby,\" she said; \"it's a spinel, and a better one than most rubies are.\" "
    "By 1851 at least 3 such stones had been sold as rubies, for £1,250.50 each.",
    "Der Schmuckhändler drehte den Stein unter der Lampe, bis sich das Licht in Farben brach. "
    "„Es ist kein Rubin“, sagte sie, „sondern ein Spinell – und schöner als die meisten Rubine.“ "
    "Größe, Härte und Übermaß: 7,5 × 10 mm.",
    "La joaillière fit tourner la pierre sous la lampe jusqu'à ce que la lumière éclate en couleurs. "
    "« Ce n'est pas un rubis, dit-elle, c'est un spinelle, plus beau que bien des rubis. »",
    "El joyero giró la piedra bajo la lámpara hasta que la luz se rompió en colores. "
    "—¿Es un rubí? —No, señora: es una espinela, y mañana valdrá el doble.",
    "Ювелир поворачивала камень под лампой, пока свет не распался на цвета. "
    "«Это не рубин, — сказала она, — это шпинель, и она лучше многих рубинов».",
    "Ювелірка повертала камінь під лампою, аж доки світло не розпалося на кольори; її п'ять учнів мовчали.",
    "珠宝匠在灯下转动着宝石，直到光线散成七彩。“这不是红宝石，”她说，“这是尖晶石，比大多数红宝石还要好。”价格是三千八百元。",
    "宝石職人はランプの下で石を回し、光が色に分かれるまで眺めた。「これはルビーではありません。スピネルです」と彼女は言った。重さは２.５カラットだった。",
    "보석상은 빛이 여러 색으로 갈라질 때까지 등불 아래에서 돌을 돌렸다. \"루비가 아니에요. 스피넬입니다.\"라고 그녀가 말했다.",
    "أدارت الصائغة الحجر تحت المصباح حتى انكسر الضوء إلى ألوان. قالت: «ليس ياقوتًا، بل إسبنيل، وهو أجمل من كثير من الياقوت».",
    "התכשיטנית סובבה את האבן מתחת למנורה עד שהאור נשבר לצבעים. \"זו לא אודם,\" אמרה, \"זו שפינל.\"",
    "जौहरी ने दीपक के नीचे पत्थर को तब तक घुमाया जब तक प्रकाश रंगों में नहीं बिखर गया। उसने कहा, “यह माणिक नहीं, स्पिनल है।” वज़न २.५ कैरेट।",
    "ช่างเพชรหมุนอัญมณีใต้โคมไฟจนแสงแตกออกเป็นสีต่าง ๆ เธอพูดว่า “นี่ไม่ใช่ทับทิม แต่เป็นสปิเนล”",
    "Người thợ kim hoàn xoay viên đá dưới ngọn đèn cho đến khi ánh sáng vỡ thành nhiều màu: “Đây không phải hồng ngọc.”",
    "Kuyumcu, ışık renklere ayrılana dek taşı lambanın altında çevirdi; İzmir'deki ustası gülümsedi.",
    "Ο κοσμηματοπώλης γύρισε την πέτρα κάτω από τη λάμπα ώσπου το φως έσπασε σε χρώματα.",
    "ጌጣጌጥ ሠሪዋ ድንጋዩን ከመብራቱ በታች አዞረችው። ៥ គ្រាប់ ត្បូង ពណ៌ក្រហម។ ᎠᏂᏴᏫᏯ",
    "def price(carats: float, *, per_carat=1250) -> float:\n    if carats <= 0:\n"
    "        raise ValueError(f\"{carats!r} is no weight\")\n    return round(carats * per_carat, 2)\n",
    "<table class=\"gems\">\n\t<tr><td>&nbsp;Spinel</td></tr>\n</table> <!-- {\"a\":[1,2.5e-7,null]} -->",
    "$x^2 + \\frac{\\alpha}{\\beta} \\le \\sum_{i=0}^{n} a_i$ | see https://example.com/a?b=%20c&d=1#e or me@example.org",
]

EMOJI = ["😀", "🦙", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "💎", "1️⃣", "🧑‍🔬", "☕", "™️", "\U0001fae8"]

RANGES = [
    (0x20, 0x7E), (0x00, 0x1F), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA),
    (0x620, 0x64A), (0x900, 0x97F), (0xE01, 0xE4E), (0x1780, 0x17FF), (0x1200, 0x137F),
    (0x2000, 0x206F), (0x2190, 0x21FF), (0x2500, 0x259F), (0x3040, 0x30FF), (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF),
    (0x20000, 0x2A6DF), (0xE0000, 0xE007F), (0x10FF00, 0x10FFFF),
]

RUNS = [" ", "\n", "\t", "▁", "\r\n", "a", "0", "=", "-", ">▁</", "> </", "\u3000", "\u00a0", "哈", ".", "<"]


class Texts:
    """Random texts for the vocabulary of a tokenizer.json (given as parsed JSON)."""

    def __init__(self, tokenizer_json, seed):
        self.random = random.Random(seed)
        vocabulary = tokenizer_json["model"]["vocab"]
        self.pieces = [p.replace("▁", " ") for p, _ in sorted(vocabulary.items(), key=lambda e: e[1])]
        self.control = [t["content"] for t in tokenizer_json["added_tokens"]]

    def code_point(self):
        low, high = self.random.choice(RANGES)
        return chr(self.random.randint(low, high))

    def word(self):
        """An entry of the vocabulary, the early (frequent) ones more often."""
        return self.pieces[int(len(self.pieces) ** self.random.random()) - 1]

    def part(self, control):
        r = self.random
        kind = r.randrange(11 if control else 10)
        if kind == 0:
            return "".join(self.code_point() for _ in range(r.randint(1, 12)))
        if kind == 1:
            low, high = r.choice(RANGES)
            return "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 20)))
        if kind == 2:
            return r.choice(RUNS) * r.choice([1, 2, 3, 5, r.randint(1, 70)])
        if kind == 3:
            return r.choice(EMOJI) * r.randint(1, 3)
        if kind == 4:
            paragraph = r.choice(PARAGRAPHS)
            begin = r.randrange(len(paragraph))
            return paragraph[begin:begin + r.randint(1, 120)]
        if kind == 5:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789+/_-") for _ in range(r.randint(1, 60)))
        if kind == 6:
            return "".join(r.choice(self.pieces) for _ in range(r.randint(1, 8)))
        if kind == 10:
            text = r.choice(self.control)
            return text if r.random() < 0.8 else text[:r.randint(1, len(text))]
        return "".join(self.word() for _ in range(r.randint(1, 20)))

    def text(self, control=True):
        return "".join(self.part(control) for _ in range(self.random.randint(1, 6)))

    def ordinary(self, n_bytes):
        """Paragraphs of several languages, each with its words mixed anew."""
        parts, size = [], 0
        while size < n_bytes:
            words = self.random.choice(PARAGRAPHS).split(" ")
            for i in range(len(words)):
                if self.random.random() < 0.15:
                    words[i] = self.word().strip() or words[i]
            parts.append(" ".join(words) + "\n\n")
            size += len(parts[-1].encode())
        return "".join(parts)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(Texts(json.load(file), 1).ordinary(int(sys.argv[2])))
