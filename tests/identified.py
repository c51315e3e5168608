"""Sentences with one identifier each, written for these tests: 60 a kind, in the forms of notes and letters.

Nobody is meant: names and addresses are invented, numbers are of ranges given to nobody.
"""

from typing import Final

from medu1.prepare.health.identifiers import Kind

ROWS: Final = 60  # a kind

NAMES: Final = (
    "John Smith", "Mary O'Brien", "Jos\u00e9 Garc\u00eda", "Li Wei", "Anna-Maria Keller", "Robert J. McDonald",
    "Fatima al-Hassan", "Priya Ramaswamy", "Hans von Berg", "Emily Watson", "Kwame Mensah", "Olga Petrova",
    "Samuel de la Cruz",
)  # fmt: skip
NAME_FORMS: Final = (
    "Mr. {} came to the clinic with a cough.",
    "Mrs. {} takes warfarin. What is her target INR?",
    "She was seen by Dr. {} last week.",
    "Patient name: {}, admitted with chest pain.",
    "Name: {}\nComplaint: headache",
    "My name is {} and I have had a fever since Monday.",
    "{}, a 45-year-old man, presents with jaundice.",
    "A 60-year-old woman named {} has atrial fibrillation.",
    "{} is a 7-month-old with a rash.",
    "Referred by {}, MD, for anemia.",
    "Next of kin: {} (informed of the plan).",
    "Is this dose right? Thank you, {}",
    "Hello, I am {} and my knee hurts.",
    "The history was taken from Ms {} by telephone.",
    "Electronically signed by: {}",
    "Her mother's name is {}.",
    "Prof {} reviewed the films.",
)
SURNAMES: Final = ("Smith", "Okafor", "Nguyen", "M\u00fcller", "van der Berg", "O'Neill", "Kowalski")
SURNAME_FORMS: Final = (
    "Mr. {} was given aspirin.",
    "Dr. {} was consulted.",
    "Mrs {}'s potassium is low.",
    "The results were sent to Miss {} and her family.",
)

DATES: Final = (
    "01/02/1980", "3/14/52", "1975-11-30", "12-05-1991", "07.08.1966", "January 5, 1980", "Mar 3rd, 1949", 
    "5 June 1972", "22nd of August 1988", "September 9 2001", "30 Dec 1939",
)  # fmt: skip
DATE_FORMS: Final = (
    "DOB: {}. Complains of pain.",
    "D.O.B. {}",
    "Date of birth: {}, female.",
    "The patient, born on {}, has asthma.",
    "He was born {} in Ohio.",
    "Her date of birth is {}.",
    "Birth date - {}",
    "Male, dob {}, weight 70 kg.",
    "Birthdate: {} (from the chart).",
    "She was born in Springfield on {}.",
    "Her birthday is {}.",
    "The chart says {} (DOB).",
)

PHONES: Final = (
    "555-201-4432", "(555) 201-4432", "555.201.4432", "+1 555-201-4432", "1-555-201-4432", "+44 20 7946 0958",
    "+49 30 901820", "(555)201-4432", "+1 (555) 201-4432",
)  # fmt: skip
PHONE_FORMS: Final = (
    "Call me at {} with the result.",
    "Phone: {}",
    "Her mobile number is {}.",
    "Tel. {} (after 5 pm)",
    "Please fax the report to us, fax {}.",
    "The daughter can be reached at {}.",
    "Contact number: {}.",
    "Home phone {}; no voicemail.",
)

EMAILS: Final = (
    "john.smith@example.com", "mary_o@example.org", "j-doe77@mail.example.net", "anna+clinic@example.co.uk",
    "k.mensah@hospital.example.edu", "PETROVA@EXAMPLE.COM", "x1@ex-ample.io",
)  # fmt: skip
EMAIL_FORMS: Final = (
    "Write to {} please.",
    "Email: {}",
    "The results go to {}, not to the employer.",
    "Her address for messages is <{}>.",
    "Send it ({}) today.",
    "e-mail={};",
    "Contact\n{}\nfor more.",
    "Is {} yours?",
    "Reply-To: {}",
)

RECORDS: Final = ("00482913", "12-345-678", "A1234567", "4829134", "AB-99120-7", "7712003", "H0048291")
RECORD_FORMS: Final = (
    "MRN: {}",
    "MRN {}, admitted yesterday.",
    "Medical record number {} was merged.",
    "The medical record number is {}.",
    "Account number: {}",
    "Account #{} is overdue.",
    "Policy no. {} covers the visit.",
    "Member ID: {}.",
    "Insurance number {} expired.",
    "Patient ID {}",
    "Chart # {}",
    "Medicare number: {}",
    "Case number {} was closed.",
)
SOCIAL: Final = ("078-05-1120", "219-09-9999", "457-55-5462")
SOCIAL_FORMS: Final = ("SSN: {}", "His social security number is {}.", "Identified by {} on arrival.")

ADDRESSES: Final = (
    "12 Elm Street", "4410 North Oak Avenue", "7 St. Mary's Road", "1600 Willow Creek Drive", "221B Baker Street",
    "98 W. 42nd Street, Apt 5", "3 Kings Court", "500 Lakeview Blvd", "15 Old Mill Lane", "77 Sunset Terrace", 
    "P.O. Box 1182",
)  # fmt: skip
ADDRESS_FORMS: Final = (
    "She lives at {}.",
    "Address: {}, Springfield.",
    "He fell in front of {} this morning.",
    "Home: {}; phone unknown.",
    "Please send the device to {}.",
    "The ambulance was called to {}, second floor.",
    "Lives alone, {}, with two cats.",
)

URLS: Final = (
    "http://www.facebook.com/john.smith", "https://example.com/patients/4711", "www.example.org/~mary", 
    "https://blog.example.net", "linkedin.com/in/jdoe", "http://example.io/u?id=9", "instagram.com/k.mensah",
)  # fmt: skip
URL_FORMS: Final = (
    "Her diary is at {}.",
    "See {} for the photographs.",
    "Profile: {}",
    "({})",
    "He posted it on {}, where all can read it.",
    "My page {} has more.",
    "Link={};",
    "The record\n{}\nis open.",
    "Is {} his?",
)

IPS: Final = (
    "192.168.0.12", "10.0.0.7", "203.0.113.45", "198.51.100.200", "8.8.8.8", "172.16.254.1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
)  # fmt: skip
IP_FORMS: Final = (
    "The portal was opened from {}.",
    "IP: {}",
    "Login by {} at noon.",
    "Address {}, port 80.",
    "({})",
    "Device at {}; pump stopped.",
    "Her pump ({}) sent an alarm.",
    "From {} to the server.",
    "Host {} is down",
)


def _crossed(forms: tuple[str, ...], values: tuple[str, ...], count: int = ROWS) -> list[tuple[str, str]]:
    """Text and identifier: every form and every value, in changing company."""
    pairs = [
        (form, values[(place + turn) % len(values)]) for turn in range(len(values)) for place, form in enumerate(forms)
    ]
    return [(form.format(value), value) for form, value in pairs[:count]]


IDENTIFIED: Final[dict[Kind, list[tuple[str, str]]]] = {
    Kind.NAME: _crossed(NAME_FORMS, NAMES, 45) + _crossed(SURNAME_FORMS, SURNAMES, 15),
    Kind.DATE: _crossed(DATE_FORMS, DATES),
    Kind.PHONE: _crossed(PHONE_FORMS, PHONES),
    Kind.EMAIL: _crossed(EMAIL_FORMS, EMAILS),
    Kind.RECORD: _crossed(RECORD_FORMS, RECORDS, 51) + _crossed(SOCIAL_FORMS, SOCIAL, 9),
    Kind.ADDRESS: _crossed(ADDRESS_FORMS, ADDRESSES),
    Kind.URL: _crossed(URL_FORMS, URLS),
    Kind.IP: _crossed(IP_FORMS, IPS),
}
